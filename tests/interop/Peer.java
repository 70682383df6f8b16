// SPDX-License-Identifier: PostgreSQL
// A TLS peer of Java's own: `java Peer.java client PORT` or `java Peer.java server STORE.p12`
// (password "secret").  What is said comes back, with new keys in between.
import java.io.*;
import java.security.KeyStore;
import java.security.cert.X509Certificate;
import javax.net.ssl.*;

class Peer {
    static SSLContext context(String store) throws Exception {
        SSLContext context = SSLContext.getInstance("TLSv1.3");
        KeyManager[] keys = null;
        if (store != null) {
            KeyStore loaded = KeyStore.getInstance("PKCS12");
            loaded.load(new FileInputStream(store), "secret".toCharArray());
            KeyManagerFactory factory = KeyManagerFactory.getInstance("SunX509");
            factory.init(loaded, "secret".toCharArray());
            keys = factory.getKeyManagers();
        }
        context.init(keys, new TrustManager[] { new X509TrustManager() {
            public void checkClientTrusted(X509Certificate[] chain, String type) { }
            public void checkServerTrusted(X509Certificate[] chain, String type) { }
            public X509Certificate[] getAcceptedIssuers() { return new X509Certificate[0]; }
        } }, null);
        return context;
    }

    // Says `count` texts of growing length, new keys between them, and hears each again.
    static void client(int port, int count) throws Exception {
        SSLSocket socket = (SSLSocket) context(null).getSocketFactory().createSocket("127.0.0.1", port);
        DataInputStream in = new DataInputStream(socket.getInputStream());
        for (int i = 0; i < count; i++) {
            byte[] said = new byte[1 + i * 997 % 40000], heard = new byte[said.length];
            for (int at = 0; at < said.length; at++)
                said[at] = (byte) (at * 31 + i);
            socket.getOutputStream().write(said);
            in.readFully(heard);
            if (!java.util.Arrays.equals(said, heard))
                throw new Exception("text " + i + " came back as another one");
            if (i % 10 == 5)
                socket.startHandshake(); // in TLS 1.3: new keys
        }
        System.out.println(socket.getSession().getProtocol() + " " + count);
        socket.close();
    }

    static void server(String store) throws Exception {
        SSLServerSocket listener =
            (SSLServerSocket) context(store).getServerSocketFactory().createServerSocket(0);
        System.out.println("port " + listener.getLocalPort());
        SSLSocket socket = (SSLSocket) listener.accept();
        InputStream in = socket.getInputStream();
        byte[] room = new byte[5000];
        for (int n, i = 0; (n = in.read(room)) > 0; i++) {
            socket.getOutputStream().write(room, 0, n);
            if (i % 10 == 5)
                socket.startHandshake();
        }
        socket.close();
    }

    public static void main(String[] words) throws Exception {
        if (words[0].equals("client"))
            client(Integer.parseInt(words[1]), 60);
        else
            server(words[1]);
    }
}
