#!/bin/sh
# SPDX-License-Identifier: PostgreSQL
# Installs the build into a directory of its own, and compiles and runs the example of
# docs/library.md against nothing but that: as C, as C++, and each header alone.
#
#     tests/library/install_test.sh SOURCE_ROOT BUILD_ROOT
set -eu
source=$1
build=$2
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
unset CFLAGS LDFLAGS

DESTDIR=$tree/root meson install -C "$build" --no-rebuild --quiet >"$tree/install.log" 2>&1 || {
    cat "$tree/install.log"
    exit 1
}
pc=$(find "$tree/root" -name pgtls.pc)
library=$(dirname "$(find "$tree/root" -name libpgtls.so)")
headers=$(dirname "$(find "$tree/root" -name pgtls.h)")
installed=$(find "$tree/root" -name pgtls -type f)
for found in "$pc" "$library" "$headers" "$installed"; do
    [ -e "$found" ] || { echo "not everything was installed"; find "$tree/root"; exit 1; }
done
"$installed" version >"$tree/out"
export PKG_CONFIG_PATH="${pc%/*}" PKG_CONFIG_SYSROOT_DIR="$tree/root"
flags=$(pkg-config --cflags --libs pgtls)

sed -n '/^```c$/,/^```$/p' "$source/docs/library.md" | grep -v '^```' >"$tree/example.c"
warn="-Wall -Wextra -Werror"
# -x: the flags name libraries behind it, which are not sources.
cc -std=c11 -pedantic $warn -o "$tree/as_c" "$tree/example.c" $flags
c++ -std=c++17 $warn -o "$tree/as_cpp" -x c++ "$tree/example.c" -x none $flags
for header in "$headers"/*.h; do
    echo "#include <pgtls/${header##*/}>" >"$tree/alone.c"
    cc -std=c11 -pedantic $warn -fsyntax-only "$tree/alone.c" $(pkg-config --cflags pgtls)
done

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
    -subj /CN=localhost -addext subjectAltName=DNS:localhost \
    -keyout "$tree/key" -out "$tree/crt" 2>"$tree/openssl.log"
chmod 600 "$tree/key"
export LD_LIBRARY_PATH="$library"
for program in as_c as_cpp; do
    "$tree/$program" "$tree/crt" "$tree/key" "$tree/crt" localhost | tee "$tree/out"
    grep -q 'echo over TLSv1.3, .*localhost.*, verified 1' "$tree/out"
    if "$tree/$program" "$tree/crt" "$tree/key" "$tree/crt" other.example 2>"$tree/err"; then
        echo "a certificate for another name was accepted"
        exit 1
    fi
    grep -q '^handshake: .*other.example' "$tree/err" || { cat "$tree/err"; exit 1; }
done
