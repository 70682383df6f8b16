/* SPDX-License-Identifier: PostgreSQL */
#include "harness/settings_samples.h"

static void values_that_are_not_what_they_should_be_are_told(void **state)
{
    static const struct sample rows[] = {
        { "a = \n",
          "1: not TOML: error while parsing key-value pair: expected value, saw '\\n'\n" },
        { "", " proxy: missing; a file needs at least one [[proxy]]\n" },
        { "proxy = 3\n", "1: proxy: is not a list of routes; write [[proxy]]\n" },
        { "[proxy]\n", "1: proxy: is not a list of routes; write [[proxy]]\n" },
        { "proxy = []\n", "1: proxy: is not a list of routes; write [[proxy]]\n" },
        { "proxy = [1]\n", "1: proxy: is not a list of routes; write [[proxy]]\n" },
        { ROUTE, "1: route \"r\": listener.bind_address: missing; for example bind_address = "
                 "\"0.0.0.0:6432\"\n"
                 "1: route \"r\": backend.address: missing; for example address = "
                 "\"db.example.com:5432\"\n" },
        { ROUTE "listener = 1\n[proxy.backend]\naddress = \"127.0.0.1:2\"\n",
          "3: route \"r\": listener: is not a section; write [proxy.listener] and its settings "
          "below\n" },
        { "log_level = \"inf\"\nworkers = -1\n" ROUTE PLAIN_LISTENER PLAIN_BACKEND,
          "1: log_level: \"inf\" is not a level; write debug, info, warn or error, and then "
          "others "
          "by part: \"info,tls=debug\"\n"
          "2: workers: -1 is out of range; the least is 0, the most 1024\n" },
        { "log_format = 1\nworkers = \"4\"\n" ROUTE PLAIN_LISTENER PLAIN_BACKEND,
          "1: log_format: is a number, not text; write it in quotes\n"
          "2: workers: is text, not a number; write it without quotes\n" },
        { "workers = 1.5\n" ROUTE PLAIN_LISTENER PLAIN_BACKEND,
          "1: workers: is a number with a fraction, not a number\n" },
        { "sslmode = \"require\"\ntelemetry = 1\n" ROUTE PLAIN_LISTENER PLAIN_BACKEND,
          "1: sslmode: unknown setting; it belongs to [proxy.listener]\n"
          "2: telemetry: unknown setting\n" },
        { ROUTE "protocol = \"redis\"\n" PLAIN_LISTENER PLAIN_BACKEND,
          "3: route \"r\": protocol: \"redis\" is not available in this version; "
          "\"postgresql\" "
          "is\n" },
        { "[[proxy]]\nname = \"\"\n" PLAIN_LISTENER PLAIN_BACKEND,
          "2: route \"proxy[0]\": name: is empty\n" },
        { "[[proxy]]\nname = \"a\\nb\"\n" PLAIN_LISTENER PLAIN_BACKEND,
          "2: route \"proxy[0]\": name: has a control character in it\n" },
        { ROUTE PLAIN_LISTENER "sslmod = \"require\"\nroot_ca = \"x\"\n[proxy.lissener]\n"
                               "[proxy.backend]\naddress = \"127.0.0.1:2\"\n",
          "5: route \"r\": listener.sslmod: unknown setting; did you mean \"sslmode\"?\n"
          "6: route \"r\": listener.root_ca: unknown setting; it belongs to [proxy.backend]\n"
          "7: route \"r\": lissener: unknown section; did you mean \"listener\"?\n" },
        { ROUTE PLAIN_LISTENER
          "sslmode = \"preferred\"\nmtls = \"yes\"\nmax_record_size = \"9000\"\n"
          "cancel = \"sometimes\"\nunix_socket_mode = 660\n" PLAIN_BACKEND,
          "5: route \"r\": listener.sslmode: \"preferred\" is not one of disable, allow, "
          "prefer, require, verify-ca, verify-full; did you mean \"prefer\"?\n"
          "6: route \"r\": listener.mtls: is text, not true or false; write it without quotes\n"
          "7: route \"r\": listener.max_record_size: \"9000\" is not a size; write \"512B\", "
          "\"64KiB\" or \"1MiB\"\n"
          "8: route \"r\": listener.cancel: \"sometimes\" is not one of allow, tls-only\n"
          "9: route \"r\": listener.unix_socket_mode: is a number, not a file mode; write "
          "octal digits such as \"0660\"\n"
          "9: route \"r\": listener.unix_socket_mode: has no effect; no bind_address is a Unix "
          "socket\n" },
        { ROUTE PLAIN_LISTENER PLAIN_BACKEND
          "[proxy.limits]\nmax_connections = 0\nlogin_timeout = \"0s\"\nidle_timeout = \"10\"\n"
          "tcp_keepalive = \"1500ms\"\ntcp_user_timeout = \"1500us\"\ndrain_timeout = "
          "\"25h\"\n",
          "8: route \"r\": limits.max_connections: 0 is out of range; the least is 1, the most "
          "1000000\n"
          "9: route \"r\": limits.login_timeout: 0s is out of range; the least is 1ms, the "
          "most "
          "1h\n"
          "10: route \"r\": limits.idle_timeout: \"10\" is not a duration; write \"250ms\", "
          "\"10s\", \"5min\" or \"24h\"\n"
          "11: route \"r\": limits.tcp_keepalive: is not whole seconds; write \"60s\"\n"
          "12: route \"r\": limits.tcp_user_timeout: is not whole milliseconds; write \"30s\"\n"
          "13: route \"r\": limits.drain_timeout: 25h is out of range; the least is 1ms, the "
          "most "
          "24h\n" },
    };

    CHECK_SAMPLES(rows, false);
}

static void addresses_that_cannot_be_used_are_told(void **state)
{
    static const struct sample rows[] = {
        { ROUTE "[proxy.listener]\nbind_address = []\n" PLAIN_BACKEND,
          "4: route \"r\": listener.bind_address: is an empty list\n" },
        { ROUTE "[proxy.listener]\nbind_address = [\"127.0.0.1:1\", 5]\n" PLAIN_BACKEND,
          "4: route \"r\": listener.bind_address: is a number, not text; write it in "
          "quotes\n" },
        { ROUTE "[proxy.listener]\nbind_address = \"db.example.com:1\"\n" PLAIN_BACKEND,
          "4: route \"r\": listener.bind_address: \"db.example.com\" is not a numeric "
          "address; write an IP address of this machine, or 0.0.0.0 for every one of IPv4 and "
          "[::] for every one of IPv6\n" },
        { ROUTE "[proxy.listener]\nbind_address = \":6432\"\n" PLAIN_BACKEND,
          "4: route \"r\": listener.bind_address: \":6432\" names no host; write host:port; "
          "0.0.0.0 is every IPv4 address of this machine\n" },
        { ROUTE "[proxy.listener]\nbind_address = \"127.0.0.1\"\n" PLAIN_BACKEND,
          "4: route \"r\": listener.bind_address: \"127.0.0.1\" does not end in a port from 0 "
          "to "
          "65535; write host:port, [ipv6]:port or unix:/path\n" },
        { ROUTE "[proxy.listener]\nbind_address = \"127.0.0.1:0\"\n" PLAIN_BACKEND,
          "4: route \"r\": listener.bind_address: \"127.0.0.1:0\" has no port; write one from "
          "1 to "
          "65535\n" },
        { ROUTE "[proxy.listener]\nbind_address = [\"[::1]:5\", \"[0::1]:5\"]\n" PLAIN_BACKEND,
          "4: route \"r\": listener.bind_address: \"[::1]:5\" is in the list twice\n" },
        { ROUTE PLAIN_LISTENER
          "[proxy.backend]\naddress = [\"127.0.0.1:2\", \"x\"]\nsource_address = \"lo\"\n",
          "6: route \"r\": backend.address: \"x\" does not end in a port from 0 to 65535; "
          "write host:port, [ipv6]:port or unix:/path\n"
          "7: route \"r\": backend.source_address: \"lo\" is not an IP address; write one of "
          "this machine, without a port\n" },
        { ROUTE PLAIN_LISTENER
          "allow = \"10.0.0.0/33\"\ndeny = [\"::/0\", \"10.0.0.1/8\"]\n" PLAIN_BACKEND,
          "5: route \"r\": listener.allow: \"10.0.0.0/33\" is not a network; write it as "
          "\"10.0.0.0/8\" or \"2001:db8::/32\"\n"
          "6: route \"r\": listener.deny: \"10.0.0.1/8\" has bits behind its prefix; write the "
          "network's own address, or a longer prefix\n" },
        { ROUTE PLAIN_LISTENER "[proxy.backend]\naddress = \"127.0.0.1:0\"\n",
          "6: route \"r\": backend.address: \"127.0.0.1:0\" has no port; write one from 1 to "
          "65535\n" },
        { ROUTE PLAIN_LISTENER "[proxy.backend]\naddress = \"localhost:1\"\n",
          "6: route \"r\": backend.address: \"localhost:1\" is this route's own bind_address; "
          "write the address of the server\n" },
        { ROUTE PLAIN_LISTENER "[proxy.backend]\naddress = \"my db:5432\"\n",
          "6: route \"r\": backend.address: \"my db\" is not a host name\n" },
        { ROUTE PLAIN_LISTENER PLAIN_BACKEND ROUTE PLAIN_LISTENER PLAIN_BACKEND,
          "8: route \"r\": name: \"r\" is taken by route \"r\" in line 2\n"
          "10: route \"r\": listener.bind_address: \"127.0.0.1:1\" is taken by route \"r\" in "
          "line "
          "4\n" },
    };

    CHECK_SAMPLES(rows, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_that_are_not_what_they_should_be_are_told),
        cmocka_unit_test(addresses_that_cannot_be_used_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
