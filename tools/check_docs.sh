#!/bin/sh
# SPDX-License-Identifier: PostgreSQL
# Checks that the documents are true where a machine can tell:
#   - a link to a file leads to one
#   - `make WORD` and a path of this tree, written in backquotes, exist
#   - README.md and ARCHITECTURE.md name every folder of src/
#   - every source says its licence in its first lines
#   - docs/matrix.md and docs/zoo.md are what the tables of the tests print
set -eu
cd "${1:-$(dirname "$0")/..}"
status=0
complain()
{
    echo "$1"
    status=1
}

documents=$(find . -name '*.md' -not -path './build*' -not -path './.git/*' -not -path './tmp/*' \
    -not -path '*/node_modules/*' |
    sed 's,^\./,,' | sort)

for document in $documents; do
    folder=$(dirname "$document")
    for target in $(grep -o ']([^)#: ]*[)#]' "$document" | sed 's/^](//; s/[)#]$//'); do
        [ -z "$target" ] || [ -e "$folder/$target" ] || complain "$document: no such file: $target"
    done
    for word in $(grep -o '`make [a-z-]*`' "$document" | sed 's/`make //; s/`//'); do
        grep -q "^$word:" Makefile || complain "$document: the Makefile has no target $word"
    done
    for path in $(grep -oE '`(src|tools|tests|docs|fuzz|include)/[A-Za-z0-9_./-]*`' "$document" |
        tr -d '`'); do
        [ -e "$path" ] || complain "$document: no such path: $path"
    done
done

for folder in $(sed 's/#.*//; s/:.*//' src/LAYERS); do
    for document in README.md ARCHITECTURE.md; do
        grep -q "$folder/" "$document" || complain "$document: says nothing of src/$folder/"
    done
done

for file in $(find src include tests tools fuzz -name '*.[ch]' -o -name '*.cpp' -o -name '*.py' \
    -o -name '*.sh' -o -name '*.java' -o -name '*.js' | grep -v /node_modules/ | sort); do
    head -3 "$file" | grep -q 'SPDX-License-Identifier: PostgreSQL' ||
        complain "$file: no SPDX line"
done
python3 -B tests/matrix/table.py --check || status=1
python3 -B tests/zoo/table.py --check || status=1
exit $status
