#!/bin/sh
# SPDX-License-Identifier: PostgreSQL
# Compares what the library exports with tests/exported.txt.
#
#     tools/check_symbols.sh LIBRARY EXPORTED
#
# LIBRARY is a shared library, or an archive: there, what visibility would export.
set -eu
LC_ALL=C
export LC_ALL

library=$1
expected=$(mktemp)
found=$(mktemp)
trap 'rm -f "$expected" "$found"' EXIT

grep -v '^ *#' "$2" | grep -v '^ *$' | sort -u >"$expected" || true
readelf -sW "$library" |
    awk '$5 != "LOCAL" && $6 == "DEFAULT" && $7 != "UND" && $7 ~ /^[0-9]+$|^COM$/ { print $8 }' |
    sed 's/@.*//' | grep -v '^__' | sort -u >"$found" || true

if ! readelf -sW "$library" | grep -q FUNC; then
    echo "$library has no functions at all: is it the library?"
    exit 1
fi
status=0
for name in $(grep -v '^pgtls_' "$found"); do
    echo "$name is exported, but public names start with pgtls_"
    status=1
done
for name in $(comm -13 "$expected" "$found"); do
    echo "$name is exported, but not in $2"
    status=1
done
for name in $(comm -23 "$expected" "$found"); do
    echo "$name is in $2, but the library does not export it"
    status=1
done
exit $status
