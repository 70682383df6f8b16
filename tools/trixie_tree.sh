#!/bin/sh
# SPDX-License-Identifier: PostgreSQL
# Makes a Debian 13 tree, once: PostgreSQL 17 and its clients beside those of this machine, and
# what is needed to build and test the project with OpenSSL 3.5 (tools/trixie_tests.sh).
#
#     tools/trixie_tree.sh                 makes it if it is missing or lacks a package, prints
#                                          its folder
#     tools/trixie_tree.sh add WORD...     the same, with these packages too
#     tools/trixie_tree.sh run WORD...     runs a command of the tree; /tmp and loopback are ours
#
# The folder is $PGTLS_TRIXIE, or /var/tmp/pgtls-trixie.  Root only.
set -eu

tree=${PGTLS_TRIXIE:-/var/tmp/pgtls-trixie}
mirror=${PGTLS_DEBIAN:-http://deb.debian.org/debian}
packages="postgresql-17 postgresql-client-17 openssl util-linux procps binutils strace redis-server
          python3 python3-pytest python3-pytest-xdist python3-psycopg python3-psycopg2
          python3-cryptography sslscan libpostgresql-jdbc-java gnutls-bin libnss3-tools
          gcc g++ libc6-dev meson ninja-build pkgconf
          pkcs11-provider softhsm2
          libssl-dev libc-ares-dev liburing-dev libjansson-dev libpcre2-dev libidn-dev
          libtomlplusplus-dev libcmocka-dev"

# What is mounted here is seen by this process and its children only, and ends with them.
if [ "${1-}" = run ]; then
    shift
    exec unshare --mount sh -c '
        tree=$1
        shift
        mount --rbind /proc "$tree/proc"
        mount --rbind /dev "$tree/dev"
        mount --bind /tmp "$tree/tmp"
        exec chroot "$tree" "$@"' sh "$tree" "$@"
fi

more=
if [ "${1-}" = add ]; then
    shift
    more=$*
fi

# The file has the packages that the tree was made with.
is_complete()
{
    [ -e "$tree/complete" ] && [ "$(cat "$tree/complete")" = "$packages" ] &&
        { [ -z "$more" ] || chroot "$tree" dpkg -s $more >/dev/null 2>&1; }
}

if is_complete; then
    echo "$tree"
    exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "trixie_tree.sh: only root can make $tree" >&2
    exit 1
fi
exec 9>"$tree.lock"
flock 9                             # somebody else may be making it
if is_complete; then
    echo "$tree"
    exit 0
fi
. "$(dirname "$0")/again.sh"
install_debootstrap()
{
    apt-get -q update
    apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends debootstrap
}
command -v debootstrap >/dev/null || again_and_again install_debootstrap >&2 </dev/null

output=$(mktemp)
trap 'rm -f "$output"' EXIT
quietly()
{
    "$@" >"$output" 2>&1 </dev/null || { tail -50 "$output" >&2; exit 1; }
}
apt_in()
{
    place=$1
    shift
    quietly again_and_again env PGTLS_TRIXIE="$place" DEBIAN_FRONTEND=noninteractive "$0" run \
        sh -c 'dpkg --configure -a && apt-get -q -y -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 "$@"' \
        sh "$@"
}

# What a run that was killed has left: debootstrap mounts /proc and /sys there.
clear_away()
{
    sort -r /proc/mounts | while read -r _ point _; do
        case $point in "$1"/*) umount -l "$point" ;; esac
    done
    rm -rf --one-file-system "$1"
}
strap()
{
    clear_away "$1"
    debootstrap --variant=minbase trixie "$1" "$mirror"
}

new=$tree
if [ ! -e "$tree/complete" ]; then
    new=$tree.new
    quietly again_and_again strap "$new"
    # Nobody asked for a cluster of Debian's, nor for a service.
    printf '#!/bin/sh\nexit 101\n' >"$new/usr/sbin/policy-rc.d"
    chmod 755 "$new/usr/sbin/policy-rc.d"
    mkdir -p "$new/etc/postgresql-common/createcluster.d"
    echo 'create_main_cluster = false' >"$new/etc/postgresql-common/createcluster.d/none.conf"
    # Thrown away if the machine stops half-way: nothing needs to be safe on disk.
    echo force-unsafe-io >"$new/etc/dpkg/dpkg.cfg.d/unsafe-io"
else
    apt_in "$new" update
fi
apt_in "$new" install --no-install-recommends $packages $more
chroot "$new" apt-get clean
echo "$packages" >"$new/complete"
[ "$new" = "$tree" ] || mv "$new" "$tree"
echo "$tree"
