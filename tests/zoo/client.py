#!/usr/bin/python3
# SPDX-License-Identifier: PostgreSQL
"""libpq of the machine that this runs on: a connection string a line, what came of it a line."""
import gc
import sys

import psycopg


def outcome(conninfo):
    try:
        psycopg.connect(conninfo).close()
    except psycopg.Error as error:
        return str(error).replace("\n", " | ")
    finally:
        gc.collect()        # psycopg leaves sockets that failed to the collector
    return "ok"


for line in sys.stdin:
    print(outcome(line), flush=True)
