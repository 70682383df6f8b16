// SPDX-License-Identifier: PostgreSQL
// A TLS peer of Go's own: `peer client PORT` or `peer server CERT KEY`.
package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"os"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Says texts of growing length and hears each again.
func client(port string) {
	conn, err := tls.Dial("tcp", "127.0.0.1:"+port,
		&tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13})
	check(err)
	for i := 0; i < 100; i++ {
		said := bytes.Repeat([]byte{byte(i)}, 1+i*997%40000)
		heard := make([]byte, len(said))
		go conn.Write(said)
		_, err = io.ReadFull(conn, heard)
		check(err)
		if !bytes.Equal(said, heard) {
			check(fmt.Errorf("text %d came back as another one", i))
		}
	}
	check(conn.Close())
	fmt.Println("heard 100")
}

func server(cert, key string) {
	pair, err := tls.LoadX509KeyPair(cert, key)
	check(err)
	listener, err := tls.Listen("tcp", "127.0.0.1:0",
		&tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13})
	check(err)
	fmt.Println("port " + listener.Addr().String()[len("127.0.0.1:"):])
	conn, err := listener.Accept()
	check(err)
	_, err = io.Copy(conn, conn)
	check(err)
	check(conn.Close())
}

func main() {
	if os.Args[1] == "client" {
		client(os.Args[2])
	} else {
		server(os.Args[2], os.Args[3])
	}
}
