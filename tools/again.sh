# SPDX-License-Identifier: PostgreSQL
# For scripts that read it: a command that may fail for a moment, as mirrors do.

# Four tries.
again_and_again()
{
    for pause in 10 30 60; do
        "$@" && return
        echo "$1 failed; once more in $pause s" >&2
        sleep "$pause"
    done
    "$@"
}
