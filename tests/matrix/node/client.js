// SPDX-License-Identifier: PostgreSQL
// The client that is node-postgres.  A case a line, its outcome a line: see run.py.
// It has no sslmode of its own: its `ssl` option is false, or what Node's tls.connect takes.
"use strict";
require("node:dns").setDefaultResultOrder("ipv4first"); // the proxy listens on 127.0.0.1
const fs = require("node:fs");
const readline = require("node:readline");
const { Client } = require("pg");

const SQL = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
const OPTIONS = {
    "disable": () => false,
    "require": () => ({ rejectUnauthorized: false }),
    "verify-ca": (rootcert) => ({ ca: fs.readFileSync(rootcert), checkServerIdentity: () => undefined }),
    "verify-full": (rootcert) => ({ ca: fs.readFileSync(rootcert) }),
};

function sslOption(sslmode, rootcert, cert, key) {
    const option = OPTIONS[sslmode](rootcert);
    if (option && cert)
        Object.assign(option, { cert: fs.readFileSync(cert), key: fs.readFileSync(key) });
    return option;
}

async function outcome([port, database, sslmode, rootcert, cert, key]) {
    const client = new Client({
        host: "localhost", port: Number(port), user: "alice", database,
        connectionTimeoutMillis: 20000, ssl: sslOption(sslmode, rootcert, cert, key),
    });
    client.on("error", () => {});
    try {
        await client.connect();
        const backend = (await client.query(SQL)).rows[0].ssl;
        const tls = client.connection.stream.encrypted === true;
        await client.end();
        return `session\t${tls ? "tls" : "clear"}/${backend ? "tls" : "clear"}`;
    } catch (error) {
        return `error\t[${error.code}] ${error.message}`.replace(/\n/g, " | ");
    } finally {
        // Where the login failed, end() may wait for an event that never comes.
        client.connection.stream.destroy();
    }
}

async function main() {
    for await (const line of readline.createInterface({ input: process.stdin }))
        console.log(await outcome(line.split("\t")));
}

main();
