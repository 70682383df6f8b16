#!/bin/sh
# SPDX-License-Identifier: PostgreSQL
# Builds this checkout and runs its tests with Debian 13's compiler, OpenSSL 3.5 and PostgreSQL 17,
# in the tree that tools/trixie_tree.sh makes.
#
#     tools/trixie_tests.sh                unit tests, the scenarios about TLS, the zoo
#     tools/trixie_tests.sh WORD...        this command instead, in the folder of the copied sources
#
# The build stays in the tree, for the next run of the same checkout.  Root only.
set -eu
cd "$(dirname "$0")/.."

tree=$(tools/trixie_tree.sh)
export PGTLS_TRIXIE="$tree"
inside=/src/$(pwd | cksum | cut -d' ' -f1)
place=$tree$inside

# The build lies beside: only the times of the copies tell it what is new.
mkdir -p "$place"
exec 9>"$place/lock"
flock 9
rm -rf "$place/source"
mkdir "$place/source"
tar --exclude='./build*' --exclude=./.git --exclude=node_modules -cf - . |
    tar -C "$place/source" -xf -
mkdir -p "$place/build"
ln -sfn ../build "$place/source/build"

[ $# -gt 0 ] || set -- tools/run_tests.py debian13
exec tools/trixie_tree.sh run /bin/sh -c 'cd "$1" && shift && exec "$@"' sh "$inside/source" "$@"
