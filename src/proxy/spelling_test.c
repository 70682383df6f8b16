/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/spelling.h"

#include "harness/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Rows of the same server, ended by NULL. */
static const char *const servers[][12] = {
    { "localhost:5432", "LOCALHOST:5432", "localhost.:5432", "db.localhost:5432",
      "127.0.0.1:5432", "127.0.0.1:05432", "[::1]:5432", "[0:0:0:0:0:0:0:1]:5432",
      "[::ffff:127.0.0.1]:5432", "[::FFFF:7f00:1]:5432", "0.0.0.0:5432" },
    { "localhost:5433", "127.0.0.1:5433" },
    { "127.0.0.2:5432", "[::ffff:127.0.0.2]:5432" },
    { "10.0.0.5:5432", "[::ffff:10.0.0.5]:5432", "[::ffff:a00:5]:5432" },
    { "[::10.0.0.5]:5432" }, /* IPv4-compatible: another address */
    { "[2001:db8::1]:5432", "[2001:0DB8:0:0::1]:5432" },
    { "db.example.com:5432", "DB.Example.Com:5432", "db.example.com.:5432",
      "db.example.com:05432" },
    { "db.example.com:5433" },
    { "db.example.co:5432" },
    { "notlocalhost:5432" },
    { "localhost.example:5432" },
    { "unix:/no/such/pg/.s.PGSQL.5432", "unix:/no//such/pg/.s.PGSQL.5432",
      "unix:/no/such/pg/.s.PGSQL.5432/", "unix://no/./such/pg/.s.PGSQL.5432",
      "unix:///no/such/pg//./.s.PGSQL.5432//" },
    { "unix:/no/such/pg/.s.PGSQL.5433" },
    { "unix:/no/such/PG/.s.PGSQL.5432" },
    { "unix:/no/such/pg/..s.PGSQL.5432" },
    { "unix:no/such/pg/.s.PGSQL.5432", "unix:no//such/pg/.s.PGSQL.5432" },
    { "unix:/5432", "unix://5432/" },
    { "no address" },
    { "" },
};

#define SERVERS (sizeof servers / sizeof *servers)

static void every_spelling_of_a_server_is_the_same_and_no_two_servers_are(void **state)
{
    for (size_t i = 0; i < SERVERS; i++) {
        char first[SPELLING_MOST], other[SPELLING_MOST];

        spelling_of_server(servers[i][0], first);
        for (size_t n = 1; servers[i][n] != NULL; n++) {
            spelling_of_server(servers[i][n], other);
            assert_string_equal(other, first);
        }
        for (size_t j = 0; j < SERVERS; j++) {
            spelling_of_server(servers[j][0], other);
            assert_int_equal(strcmp(other, first) == 0, i == j);
        }
    }
}

static void a_folder_that_is_a_link_is_where_it_leads(void **state)
{
    char folder[] = "/tmp/pgtls-spelling-XXXXXX", link[64], text[128];
    char one[SPELLING_MOST], other[SPELLING_MOST];

    assert_non_null(mkdtemp(folder));
    snprintf(link, sizeof link, "%s/link", folder);
    assert_return_code(symlink(".", link), 0);
    snprintf(text, sizeof text, "unix:%s/.s.PGSQL.5432", folder);
    spelling_of_server(text, one);
    assert_string_equal(one, text);
    snprintf(text, sizeof text, "unix:%s//link/link/.s.PGSQL.5432", folder);
    spelling_of_server(text, other);
    assert_string_equal(other, one);
    assert_return_code(unlink(link), 0);
    assert_return_code(rmdir(folder), 0);
}

static void what_is_too_long_is_cut(void **state)
{
    char text[2 * SPELLING_MOST], out[SPELLING_MOST];

    for (size_t len = 0; len < sizeof text; len++) {
        memset(text, 'a', sizeof text);
        text[len] = '\0';
        spelling_of_server(text, out);
        assert_true(strlen(out) == (len < SPELLING_MOST ? len : SPELLING_MOST - 1));
        memcpy(text, "unix:/", len < 6 ? len : 6);
        spelling_of_server(text, out);
        assert_true(strlen(out) < SPELLING_MOST);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_spelling_of_a_server_is_the_same_and_no_two_servers_are),
        cmocka_unit_test(a_folder_that_is_a_link_is_where_it_leads),
        cmocka_unit_test(what_is_too_long_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
