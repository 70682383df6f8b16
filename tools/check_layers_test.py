#!/usr/bin/python3
# SPDX-License-Identifier: PostgreSQL
"""check_layers.py must see what it is for: each test breaks one rule in a small tree."""
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import check_layers                                                     # noqa: E402

LAYERS = "# a comment\nbase :\npg : base\nio : base\nconf : base\ncli : base io pg conf\n"


class Tree(unittest.TestCase):
    def complaints(self, layers=LAYERS, **files):
        """What is said about a tree; pg__x_c="..." is the file src/pg/x.c."""
        with tempfile.TemporaryDirectory() as root:
            os.mkdir(os.path.join(root, "src"))
            with open(os.path.join(root, "src", "LAYERS"), "w", encoding="ascii") as out:
                out.write(layers)
            for name, text in files.items():
                folder, _, file = name.partition("__")
                os.makedirs(os.path.join(root, "src", folder), exist_ok=True)
                file = ".".join(file.rsplit("_", 1))
                with open(os.path.join(root, "src", folder, file), "w", encoding="ascii") as out:
                    out.write(text)
            return check_layers.check(root)

    def one(self, **files):
        found = self.complaints(**files)
        self.assertEqual(len(found), 1, found)
        return found[0]

    def test_a_clean_tree_has_nothing_said_about_it(self):
        self.assertEqual(self.complaints(
            base__a_c='#include "base/a.h"\n#include <string.h>\n',
            pg__b_c='#include "pg/b.h"\n#include "base/a.h"\n',
            io__c_c="#include <sys/socket.h>\nint t(void) { return clock_gettime(0, 0); }\n",
            cli__d_c='int main(void) { printf("x"); exit(0); }\n'), [])

    def test_a_wrong_arrow_fails_with_its_sentence(self):
        self.assertEqual(self.one(pg__b_c='\n#include "io/loop.h"\n'),
                         "src/pg/b.c:2: pg may not include io (io/loop.h)")

    def test_arrows_of_headers_and_tests_count_too(self):
        self.assertIn("may not include", self.one(pg__b_h='#include "conf/option.h"\n'))
        self.assertIn("may not include", self.one(pg__b_test_c='#include "io/loop.h"\n'))

    def test_tests_may_use_the_harness(self):
        self.assertEqual(self.complaints(pg__b_test_c='#include "harness/check.h"\n'), [])
        self.assertIn("harness", self.one(pg__b_c='#include "harness/check.h"\n'))

    def test_a_circle_in_the_table_is_seen(self):
        self.assertIn("circle", self.complaints(layers="pg : io\nio : pg\n")[0])

    def test_an_unknown_folder_is_seen(self):
        self.assertIn("not in src/LAYERS", self.one(misc__a_c=""))
        self.assertIn("not in src/LAYERS", self.one(pg__a_c='#include "nowhere/x.h"\n'))

    def test_system_rules(self):
        for text, word in (
                ("#include <openssl/ssl.h>", "OpenSSL"),
                ("#  include <sys/socket.h>", "sockets"),
                ("#include <sys/epoll.h>", "sockets"),
                ("#include <liburing.h>", "sockets"),
                ("x = clock_gettime(CLOCK_MONOTONIC, &t);", "clock"),
                ("now = time(NULL);", "clock"),
                ('printf("%d", 1);', "print"),
                ('fprintf(stderr, "x");', "print"),
                ("exit(1);", "exit"),
                ("#include <toml++/toml.h>", "toml++"),
                ('#include "base/x.c"', "not included")):
            with self.subTest(text):
                self.assertIn(word, self.one(pg__a_c=text + "\n"))

    def test_words_that_only_look_alike_are_left_alone(self):
        self.assertEqual(self.complaints(pg__a_c="""
            /* printf("x"); exit(1); #include "io/loop.h" */
            // clock_gettime(a, b)
            int n = snprintf(b, 2, "exit(1)");
            on_exit(x); handler->exit(1); vsnprintf(a, b, c, d);
            """), [])

    def test_cpp_is_for_one_file_only(self):
        self.assertEqual(self.complaints(conf__toml_cpp="#include <toml++/toml.h>\n"), [])
        self.assertIn("C++", self.one(pg__x_cpp=""))

    def test_an_include_without_folder_is_seen(self):
        self.assertIn("without its folder", self.one(pg__a_c='#include "a.h"\n'))


if __name__ == "__main__":
    unittest.main()
