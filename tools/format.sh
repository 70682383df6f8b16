#!/bin/sh
# SPDX-License-Identifier: PostgreSQL
# Formats every C file by .clang-format, or with --check tells which are not.
#
# Versions of clang-format disagree in small things; ours is Debian 12's.
set -eu
cd "$(dirname "$0")/.."

formatter=
for name in clang-format-14 clang-format; do
    if command -v "$name" >/dev/null && "$name" --version | grep -q 'version 14\.'; then
        formatter=$name
        break
    fi
done
if [ -z "$formatter" ]; then
    echo "clang-format 14 is not here: nothing was checked" >&2
    exit 0
fi

files=$(find src include tests fuzz -name '*.[ch]' -o -name '*.cpp' | sort)
if [ "${1-}" = --check ]; then
    $formatter --dry-run -Werror $files
else
    $formatter -i $files
fi
