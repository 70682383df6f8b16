/* SPDX-License-Identifier: PostgreSQL */
#include "harness/settings_samples.h"

static void limits_that_could_not_take_effect_are_told(void **state)
{
#define NO_ADDRESS                                                                             \
    "has no effect: clients of a Unix socket have no address; leave it out, or set "           \
    "unix_socket_mode\n"
#define SHORTER "has no effect: login_timeout is shorter and includes it\n"
    static const struct sample rows[] = {
        { ROUTE UNIX_LISTENER "allow = \"10.0.0.0/8\"\ndeny = \"10.1.0.0/16\"\n" PLAIN_BACKEND
                              "[proxy.limits]\nmax_connections_per_ip = 5\n",
          "5: route \"r\": listener.allow: " NO_ADDRESS
          "6: route \"r\": listener.deny: " NO_ADDRESS
          "10: route \"r\": limits.max_connections_per_ip: " NO_ADDRESS },
        { ROUTE UNIX_LISTENER UNIX_BACKEND
          "[proxy.limits]\ntcp_keepalive = \"5s\"\ntcp_user_timeout = \"5s\"\n",
          "8: route \"r\": limits.tcp_keepalive: has no effect: all addresses are Unix "
          "sockets\n"
          "9: route \"r\": limits.tcp_user_timeout: has no effect: all addresses are Unix "
          "sockets\n" },
        { ROUTE PLAIN_LISTENER PLAIN_BACKEND
          "[proxy.limits]\nhandshakes_per_second = 5\nhandshake_timeout = \"5s\"\n",
          "8: route \"r\": limits.handshakes_per_second: has no effect: no client starts TLS "
          "with sslmode \"disable\"\n"
          "9: route \"r\": limits.handshake_timeout: has no effect with sslmode \"disable\" on "
          "both sides\n" },
        { ROUTE TLS_LISTENER PLAIN_BACKEND
          "[proxy.limits]\nlogin_timeout = \"2s\"\nfirst_byte_timeout = \"3s\"\n"
          "handshake_timeout = \"2001ms\"\nconnect_timeout = \"1min\"\n",
          "11: route \"r\": limits.first_byte_timeout: " SHORTER
          "12: route \"r\": limits.handshake_timeout: " SHORTER
          "13: route \"r\": limits.connect_timeout: " SHORTER },
        { ROUTE PLAIN_LISTENER "cert_refresh_interval = \"10s\"\n" PLAIN_BACKEND,
          "5: route \"r\": listener.cert_refresh_interval: has no effect: the route names no "
          "file; leave it out\n" },
    };
#undef NO_ADDRESS
#undef SHORTER

    CHECK_SAMPLES(rows, false);
}

static void limits_that_take_effect_on_one_side_are_good(void **state)
{
    static const struct sample rows[] = {
        { ROUTE UNIX_LISTENER
          "proxy_protocol = \"v2\"\ntrusted_proxies = \"10.0.0.1\"\nallow = "
          "\"10.0.0.0/8\"\n" PLAIN_BACKEND
          "[proxy.limits]\nmax_connections_per_ip = 5\ntcp_keepalive = \"5s\"\n",
          "" },
        { ROUTE PLAIN_LISTENER UNIX_BACKEND "[proxy.limits]\ntcp_keepalive = \"5s\"\n", "" },
        { ROUTE PLAIN_LISTENER TLS_BACKEND "[proxy.limits]\nhandshake_timeout = \"5s\"\n", "" },
        { ROUTE PLAIN_LISTENER "cert_refresh_interval = \"10s\"\n" TLS_BACKEND, "" },
        { ROUTE TLS_LISTENER PLAIN_BACKEND
          "[proxy.limits]\nlogin_timeout = \"2s\"\nconnect_timeout = \"2s\"\n",
          "" },
        /* what the defaults say is for other routes */
        { "[defaults.limits]\nhandshakes_per_second = 5\nfirst_byte_timeout = \"2min\"\n"
          "[defaults.listener]\ncert_refresh_interval = \"10s\"\n" ROUTE PLAIN_LISTENER
              PLAIN_BACKEND,
          "" },
    };

    CHECK_SAMPLES(rows, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_that_could_not_take_effect_are_told),
        cmocka_unit_test(limits_that_take_effect_on_one_side_are_good),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
