#!/bin/sh
# SPDX-License-Identifier: PostgreSQL
# Shows the proxy at work: psql -- TLS, client certificate --> pgtls -- TLS --> PostgreSQL.
#
# Everything runs on loopback, out of one temporary folder, and is gone at the end.
set -eu
cd "$(dirname "$0")/.."

say()
{
    printf '\n== %s\n' "$*"
}

die()
{
    echo "demo: $*" >&2
    exit 1
}

cleanup()
{
    trap - EXIT INT TERM HUP
    for pid in ${proxy_pid-} ${postgres_pid-}; do
        kill -INT "$pid" 2>/dev/null || continue
        wait "$pid" 2>/dev/null || true
    done
    [ -z "${work-}" ] || rm -rf "$work"
}
trap cleanup EXIT
trap 'cleanup; exit 130' INT TERM HUP

say "Installing what is missing, and building"
tools/install_deps.sh demo
work=$(mktemp -d /tmp/pgtls-demo.XXXXXX)
chmod 755 "$work"
make build >"$work/build.log" 2>&1 || { tail -40 "$work/build.log" >&2; die "the build failed"; }
pgtls=$(find build -name pgtls -type f -perm -u+x | head -n 1)
[ -n "$pgtls" ] || die "the build left no program"
echo "$("$pgtls" version | head -n 1)"

# PostgreSQL does not run as root.
as_server=
if [ "$(id -u)" -eq 0 ]; then
    as_server="setpriv --reuid postgres --regid postgres --clear-groups"
fi
bin=$(ls -d /usr/lib/postgresql/*/bin | sort -t / -k 5 -n | tail -n 1)

say "Making certificates: one authority, three leaves"
umask 077
pgtls=$PWD/$pgtls
(
    cd "$work"
    for name in proxy database; do
        "$pgtls" cert server --new-root ca --ca ca --name localhost --name 127.0.0.1 --days 2 \
            --out "$name"
    done
    "$pgtls" cert client --ca ca --user alice --days 2 --out alice
) | sed 's/^/  /'

free_ports=$(python3 -c '
import socket
socks = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*[s.getsockname()[1] for s in socks])')
database_port=${free_ports% *}
proxy_port=${free_ports#* }

say "Starting PostgreSQL with TLS on 127.0.0.1:$database_port"
mkdir "$work/pg"
cp "$work/database/server.crt" "$work/database/server.key" "$work/pg/"
[ -z "$as_server" ] || chown -R postgres: "$work/pg"
(
    cd "$work/pg"
    $as_server "$bin/initdb" -D data -U postgres -A trust --no-locale -E UTF8 --no-sync >/dev/null
    $as_server sh -c 'umask 077; cp server.crt server.key data/
        echo "hostssl all all 127.0.0.1/32 trust" >data/pg_hba.conf
        echo "local all all trust" >>data/pg_hba.conf'
)
cd "$work/pg"
$as_server "$bin/postgres" -D data -p "$database_port" -k "$work/pg" -c listen_addresses=127.0.0.1 \
    -c ssl=on -c fsync=off \
    >"$work/postgres.log" 2>&1 &
postgres_pid=$!
cd "$OLDPWD"
tries=0
until "$bin/pg_isready" -q -h "$work/pg" -p "$database_port"; do
    tries=$((tries + 1))
    [ "$tries" -lt 150 ] || { cat "$work/postgres.log" >&2; die "PostgreSQL did not start"; }
    sleep 0.2
done
psql -qX -h "$work/pg" -p "$database_port" -U postgres -c "create role alice login" >/dev/null

say "Starting the proxy on 127.0.0.1:$proxy_port with this configuration"
cat >"$work/pgtls.toml" <<TOML
[[proxy]]
name = "demo"
[proxy.listener]
bind_address = "127.0.0.1:$proxy_port"
sslmode      = "verify-full"        # a certificate whose name is the user
server_cert  = "proxy/server.crt"
server_key   = "proxy/server.key"
client_ca    = "ca/ca.crt"
[proxy.backend]
address = "127.0.0.1:$database_port"
sslmode = "verify-full"
root_ca = "ca/ca.crt"
TOML
sed 's/^/  /' "$work/pgtls.toml"
"$pgtls" proxy -c "$work/pgtls.toml" 2>"$work/pgtls.log" &
proxy_pid=$!
tries=0
until grep -q listener.ready "$work/pgtls.log"; do
    tries=$((tries + 1))
    kill -0 "$proxy_pid" 2>/dev/null || { cat "$work/pgtls.log" >&2; die "the proxy ended"; }
    [ "$tries" -lt 100 ] || { cat "$work/pgtls.log" >&2; die "the proxy did not start"; }
    sleep 0.1
done

through="host=localhost hostaddr=127.0.0.1 port=$proxy_port dbname=postgres user=alice connect_timeout=10
         sslmode=verify-full sslrootcert=$work/alice/root.crt"
say "psql as alice, with alice's certificate, through the proxy"
psql -X "$through sslcert=$work/alice/client.crt sslkey=$work/alice/client.key" -P footer=off -c \
    "select current_user, version as tls_to_the_database, cipher from pg_stat_ssl
     where pid = pg_backend_pid()"

say "The same as bob, with alice's certificate: refused"
if psql -X "$through user=bob sslcert=$work/alice/client.crt sslkey=$work/alice/client.key" -c "select 1" \
    2>"$work/refused"; then
    die "bob got in with alice's certificate"
fi
sed 's/^/  /' "$work/refused"

say "What the proxy wrote about the first connection"
tries=0
until grep -q connection.end "$work/pgtls.log"; do
    tries=$((tries + 1))
    [ "$tries" -lt 50 ] || { cat "$work/pgtls.log" >&2; die "there is no such line"; }
    sleep 0.1
done
grep connection.end "$work/pgtls.log" | head -n 1 | fold -s -w 96 | sed 's/^/  /'

cleanup
say "Done. Both servers are stopped, $work is gone."
