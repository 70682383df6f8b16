/* SPDX-License-Identifier: PostgreSQL */
#include "harness/check.h"
#include "io/network.h"

static bool contains(const char *network_text, const char *address_text)
{
    struct failure why = { 0 };
    struct network network;
    struct address address;

    assert_int_equal(network_parse(&network, network_text, &why), FAIL_NONE);
    assert_int_equal(address_parse(&address, address_text, &why), FAIL_NONE);
    return network_contains(&network, &address);
}

static void an_address_is_in_a_network_by_its_high_bits(void **state)
{
    assert_true(contains("10.0.0.0/8", "10.255.0.1:1"));
    assert_false(contains("10.0.0.0/8", "11.0.0.1:1"));
    assert_true(contains("192.168.4.0/23", "192.168.5.9:1"));
    assert_false(contains("192.168.4.0/23", "192.168.6.0:1"));
    assert_true(contains("127.0.0.1", "127.0.0.1:1"));
    assert_false(contains("127.0.0.1", "127.0.0.2:1"));
    assert_true(contains("0.0.0.0/0", "8.8.8.8:1"));
    assert_false(contains("0.0.0.0/0", "[2001:db8::1]:1"));
    assert_true(contains("2001:db8::/33", "[2001:db8:7fff::1]:1"));
    assert_false(contains("2001:db8::/33", "[2001:db8:8000::1]:1"));
    assert_true(contains("::/0", "[::1]:1"));
}

static void an_ipv4_client_of_an_ipv6_socket_is_in_its_ipv4_network(void **state)
{
    assert_true(contains("10.0.0.0/8", "[::ffff:10.1.2.3]:1"));
    assert_false(contains("10.0.0.0/8", "[::ffff:11.1.2.3]:1"));
}

static void a_unix_socket_is_in_no_network(void **state)
{
    assert_false(contains("::/0", "unix:/tmp/x"));
}

static void what_is_not_a_network_is_refused_with_a_hint(void **state)
{
    static const char *const bad[] = { "",
                                       "10.0.0.0/33",
                                       "10.0.0.0/",
                                       "10.0.0.0/a",
                                       "10.0.0/8",
                                       "::/129",
                                       "10.0.0.1/8",
                                       "host/8",
                                       "::1/64",
                                       "10.0.0.0/8 ",
                                       "/8",
                                       "10.0.0.0/-1",
                                       "1111:2222:3333:4444:5555:6666:7777:8888:9999/8" };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct failure why = { 0 };
        struct network network;

        assert_int_equal(network_parse(&network, bad[i], &why), FAIL_CONFIG);
        assert_true(why.hint[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_in_a_network_by_its_high_bits),
        cmocka_unit_test(an_ipv4_client_of_an_ipv6_socket_is_in_its_ipv4_network),
        cmocka_unit_test(a_unix_socket_is_in_no_network),
        cmocka_unit_test(what_is_not_a_network_is_refused_with_a_hint),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
