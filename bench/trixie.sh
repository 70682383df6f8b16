#!/bin/sh
# SPDX-License-Identifier: PostgreSQL
# Measures a program that is built with Debian 13's compiler and OpenSSL 3.5, beside Debian 13's
# peers and PostgreSQL 17, in the tree that tools/trixie_tree.sh makes.
#
#     bench/trixie.sh                  writes the part debian13 of RESULTS.md
#     bench/trixie.sh OPTION...        with these options of bench/run.py
#
# Root only.
set -eu
cd "$(dirname "$0")/.."

[ $# -gt 0 ] || set -- --rounds 3 --seconds 1 --write debian13
tools/trixie_tree.sh add pgbouncer stunnel4 haproxy hitch nginx libnginx-mod-stream >/dev/null

# The tree has a copy of the sources; /tmp is the same there and here.
results=$(mktemp -d /tmp/pgtls-results-XXXXXX)
trap 'rm -rf "$results"' EXIT
cp bench/RESULTS.md "$results"
tools/trixie_tests.sh sh -c '
    [ -f build/build.ninja ] || meson setup build >/dev/null
    ninja -C build src/pgtls >/dev/null
    exec bench/run.py --results "$@"' sh "$results/RESULTS.md" "$@"
cp "$results/RESULTS.md" bench/RESULTS.md
