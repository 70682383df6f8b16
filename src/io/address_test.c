/* SPDX-License-Identifier: PostgreSQL */
#include "io/address.h"

#include "harness/check.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

static void what_is_parsed_is_printed_the_same(void **state)
{
    static const char *const texts[] = {
        "127.0.0.1:5432",  "0.0.0.0:0",   "255.255.255.255:65535", "[::1]:5432",
        "[2001:db8::1]:1", "unix:/run/x", "unix:/a:5432",
    };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct address address;
        struct failure why = { 0 };
        char           text[ADDRESS_TEXT];

        assert_int_equal(address_parse(&address, texts[i], &why), FAIL_NONE);
        assert_string_equal(address_format(&address, text), texts[i]);
    }
}

static void what_is_no_address_is_refused_and_named(void **state)
{
    static const char *const texts[] = {
        "",           ":",           "127.0.0.1",
        "127.0.0.1:", "127.0.0.1:x", "db:5432",
        ":5432",      "[]:5432",     "::1:5432",
        "[::1]",      "[::1:5432",   "1.2.3.4:-1",
        "1.2.3.4:+1", "1.2.3.4: 1",  "1.2.3.4:65536",
        "unix:",      "[db]:5432",   "1.2.3.4:1x",
        "1.2.3:5432", "[1.2.3.4",    "1.2.3.4:99999999999999999999999",
    };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct address address;
        struct failure why = { 0 };

        assert_int_equal(address_parse(&address, texts[i], &why), FAIL_CONFIG);
        assert_true(why.text[0] != '\0');
    }
}

/* Every beginning of an address is one, or is refused; none reads past its end. */
static void an_address_may_be_cut_anywhere(void **state)
{
    static const char *const texts[] = { "[2001:db8::1]:5432", "unix:/path/to", "10.0.0.1:54" };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        for (size_t cut = 0; cut < strlen(texts[i]); cut++) {
            char           text[32];
            struct address address;
            struct failure why = { 0 };

            snprintf(text, sizeof text, "%.*s", (int)cut, texts[i]);
            if (address_parse(&address, text, &why) != FAIL_NONE)
                assert_int_equal(why.kind, FAIL_CONFIG);
        }
    }
}

static void a_path_fits_or_is_refused(void **state)
{
    size_t most = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;

    for (size_t length = most - 1; length < most + 200; length++) {
        struct address address;
        struct failure why = { 0 };
        char           text[400] = "unix:";
        char           printed[ADDRESS_TEXT];
        enum fail      expected = length <= most ? FAIL_NONE : FAIL_CONFIG;

        memset(text + 5, 'p', length);
        assert_int_equal(address_parse(&address, text, &why), expected);
        if (expected == FAIL_NONE)
            assert_string_equal(address_format(&address, printed), text);
    }
}

static void a_host_name_is_split_from_its_port(void **state)
{
    char           host[16];
    uint16_t       port;
    bool           is_unix;
    struct failure why = { 0 };

    assert_int_equal(address_split("db.local:5432", host, sizeof host, &port, &is_unix, &why),
                     FAIL_NONE);
    assert_string_equal(host, "db.local");
    assert_int_equal(port, 5432);
    assert_false(is_unix);
    assert_int_equal(address_split("[::1]:1", host, sizeof host, &port, &is_unix, &why),
                     FAIL_NONE);
    assert_string_equal(host, "::1");
    assert_int_equal(address_split("unix:/tmp/s", host, sizeof host, &port, &is_unix, &why),
                     FAIL_NONE);
    assert_string_equal(host, "/tmp/s");
    assert_true(is_unix);
    assert_int_equal(
        address_split("sixteen-letters.:1", host, sizeof host, &port, &is_unix, &why),
        FAIL_CONFIG);
}

static void loopback_is_told_from_the_rest(void **state)
{
    static const struct {
        const char *text;
        bool        is_loopback;
    } rows[] = {
        { "127.0.0.1:1", true },          { "127.255.0.1:1", true }, { "128.0.0.1:1", false },
        { "0.0.0.0:1", false },           { "[::1]:1", true },       { "[::2]:1", false },
        { "[::ffff:127.0.0.1]:1", true }, { "[::]:1", false },       { "unix:/x", true },
        { "[::ffff:10.0.0.1]:1", false },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct address address;
        struct failure why = { 0 };

        assert_int_equal(address_parse(&address, rows[i].text, &why), FAIL_NONE);
        assert_int_equal(address_is_loopback(&address), rows[i].is_loopback);
    }
}

static void a_peer_without_a_path_is_printed_too(void **state)
{
    struct address     address;
    struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "left over" };
    char               text[ADDRESS_TEXT];

    address_from_system(&address, &name, sizeof name.sun_family);
    assert_string_equal(address_format(&address, text), "unix:");
    address_from_system(&address, &name, sizeof name);
    assert_string_equal(address_format(&address, text), "unix:left over");
    assert_true(address_is_unix(&address));
}

static void a_brief_address_says_the_same_of_an_ip_address(void **state)
{
    static const char *const texts[] = { "127.0.0.1:5432", "[2001:db8::1]:6432" };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct failure       why = { 0 };
        struct address       address, again;
        struct address_brief brief;
        char                 text[ADDRESS_TEXT];

        assert_int_equal(address_parse(&address, texts[i], &why), FAIL_NONE);
        brief = address_shorten(&address);
        assert_true(brief.is_set);
        again = address_lengthen(&brief);
        assert_true(address_equal(&address, &again));
        assert_string_equal(address_format(&again, text), texts[i]);
    }
}

static void a_brief_address_forgets_the_path_of_a_unix_socket(void **state)
{
    struct failure       why = { 0 };
    struct address       address, none = { 0 };
    struct address_brief brief;

    assert_int_equal(address_parse(&address, "unix:/tmp/x", &why), FAIL_NONE);
    brief = address_shorten(&address);
    assert_true(brief.is_set);
    address = address_lengthen(&brief);
    assert_true(address_is_unix(&address));
    assert_true(address_is_loopback(&address));
    brief = address_shorten(&none);
    assert_false(brief.is_set);
    assert_int_equal(address_lengthen(&brief).length, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_parsed_is_printed_the_same),
        cmocka_unit_test(what_is_no_address_is_refused_and_named),
        cmocka_unit_test(an_address_may_be_cut_anywhere),
        cmocka_unit_test(a_path_fits_or_is_refused),
        cmocka_unit_test(a_host_name_is_split_from_its_port),
        cmocka_unit_test(loopback_is_told_from_the_rest),
        cmocka_unit_test(a_peer_without_a_path_is_printed_too),
        cmocka_unit_test(a_brief_address_says_the_same_of_an_ip_address),
        cmocka_unit_test(a_brief_address_forgets_the_path_of_a_unix_socket),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
