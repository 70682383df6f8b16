// SPDX-License-Identifier: PostgreSQL
// node-postgres logs in with SCRAM: PORT ROOTCERT (or "") BINDING.
"use strict";
require("node:dns").setDefaultResultOrder("ipv4first");
const fs = require("node:fs");
const { Client } = require("pg");

async function main([port, rootcert, binding]) {
    const client = new Client({
        host: "localhost", port: Number(port), user: "scram", password: "open sesame",
        database: "postgres", connectionTimeoutMillis: 20000,
        ssl: rootcert ? { ca: fs.readFileSync(rootcert) } : false,
        enableChannelBinding: binding === "on",
    });
    client.on("error", () => {});
    try {
        await client.connect();
        const { rows } = await client.query("select current_user as who");
        console.log(rows[0].who);
        await client.end();
    } catch (error) {
        console.log(error.message);
    } finally {
        client.connection.stream.destroy();
    }
}

main(process.argv.slice(2));
