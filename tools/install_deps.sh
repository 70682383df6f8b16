#!/bin/sh
# SPDX-License-Identifier: PostgreSQL
# Installs what is needed, from Debian's own packages, and nothing that is there already.
#
#     tools/install_deps.sh build|demo|test|ci
#
# As root it runs apt-get; otherwise it uses sudo, or says what to run.
set -eu

build="gcc g++ libc6-dev make meson ninja-build pkgconf
       libssl-dev libc-ares-dev liburing-dev libjansson-dev libpcre2-dev libidn-dev libtomlplusplus-dev"
demo="$build util-linux postgresql postgresql-client"
tests="$demo openssl libcmocka-dev binutils procps iproute2 python3 python3-pytest python3-pytest-xdist
       python3-psycopg python3-psycopg2 python3-cryptography testssl.sh sslscan
       nodejs npm default-jdk-headless libpostgresql-jdbc-java debootstrap strace redis-tools
       gnutls-bin libnss3-tools"
ci="$tests golang-go git clang clang-format libclang-rt-dev llvm"

case ${1-} in
build) wanted=$build ;;
demo) wanted=$demo ;;
test) wanted=$tests ;;
ci) wanted=$ci ;;
*) echo "usage: tools/install_deps.sh build|demo|test|ci" >&2; exit 2 ;;
esac

is_installed()
{
    case $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) in
    installed) return 0 ;;
    esac
    # Not Debian's own, but as good.
    case $1 in
    nodejs) command -v node >/dev/null && return ;;
    npm) command -v npm >/dev/null && return ;;
    default-jdk-headless) command -v javac >/dev/null && return ;;
    esac
    # A library may be there under its new name (libssl3t64), a server without its metapackage.
    [ "$1" = postgresql ] && ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1
}

if ! command -v dpkg-query >/dev/null; then
    echo "install_deps.sh knows Debian and its relatives; elsewhere, please install:" $wanted >&2
    exit 1
fi

# A mirror may fail for a moment, and somebody else's apt-get may have the lists.
. "$(dirname "$0")/again.sh"

# node-postgres, for the matrix of clients: from the lock file, again only when that is newer.
node_packages()
{
    case $wanted in *npm*) ;; *) return 0 ;; esac
    node=$(dirname "$0")/../tests/matrix/node
    [ "$node/node_modules/.package-lock.json" -nt "$node/package-lock.json" ] && return 0
    echo "installing: the packages of tests/matrix/node"
    again_and_again npm ci --prefix "$node" --no-audit --no-fund --ignore-scripts \
        --fetch-retries=4 --loglevel=error </dev/null
}

missing=
for package in $wanted; do
    is_installed "$package" || missing="$missing $package"
done
[ -n "$missing" ] || { node_packages; exit 0; }

as_root=
if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
        as_root="sudo"
    else
        echo "these packages are missing; as root, please run:" >&2
        echo "    apt-get install --no-install-recommends$missing" >&2
        exit 1
    fi
fi

apt()
{
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 \
        -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@" </dev/null
}

# With lists that are new, even if some of them could not be had; and behind an apt-get that was
# killed.
install()
{
    $as_root dpkg --configure -a </dev/null
    apt update || echo "not all lists of packages are new" >&2
    apt install --no-install-recommends "$@"
}

echo "installing:$missing"
output=$(mktemp)
undo='rm -f "$output"'
trap 'eval "$undo"' EXIT
quietly()
{
    "$@" >"$output" 2>&1 || { cat "$output" >&2; exit 1; }
}

case " $missing " in
*" postgresql "*)
    # The package would create and start a server on port 5432.  Nobody asked for one.
    quietly again_and_again install postgresql-common
    conf=/etc/postgresql-common/createcluster.conf
    [ ! -f "$conf.pgtls" ] || $as_root mv "$conf.pgtls" "$conf"     # of a run that was killed
    if [ -f "$conf" ]; then
        $as_root cp -p "$conf" "$conf.pgtls"
        $as_root sh -c "echo 'create_main_cluster = false' >>'$conf'"
        undo="$undo; \$as_root mv \"\$conf.pgtls\" \"\$conf\""
    fi
    ;;
esac
quietly again_and_again install $missing
node_packages
