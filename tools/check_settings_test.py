#!/usr/bin/python3
# SPDX-License-Identifier: PostgreSQL
"""check_settings.py must see what it is for: each test breaks one thing in a small tree."""
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import check_settings                                                   # noqa: E402

REFERENCE = """# Settings
## Top of the file
- `workers`: number.
## [proxy.listener]
- `sslmode`: one of `disable`.
"""
LIST = """# a comment
workers
    + tests/a.py::test_it_works
    - src/b_test.c::it_refuses
proxy.listener.sslmode
    + tests/a.py::test_it_works
    - tests/a.py::test_it_refuses
"""
PYTHON = """
def test_it_works(start):
    start(workers=2, sslmode="require")
def test_it_refuses(): pass
def helper(): pass
"""
C = """static void it_refuses(void **state)
{ load("workers = -1"); }
static void it_never_runs(void **state)
{ }
tests[] = { cmocka_unit_test(it_refuses) };
"""


class Tree(unittest.TestCase):
    def complaints(self, listed=LIST, reference=REFERENCE, python=PYTHON):
        files = {"tests/settings.txt": listed, "docs/settings.md": reference,
                 "tests/a.py": python, "src/b_test.c": C}
        with tempfile.TemporaryDirectory() as root:
            for name, text in files.items():
                os.makedirs(os.path.join(root, os.path.dirname(name)), exist_ok=True)
                with open(os.path.join(root, name), "w", encoding="ascii") as out:
                    out.write(text)
            return check_settings.check(root)

    def one(self, **files):
        found = self.complaints(**files)
        self.assertEqual(len(found), 1, found)
        return found[0]

    def test_a_complete_list_has_nothing_said_about_it(self):
        self.assertEqual(self.complaints(), [])

    def test_a_new_setting_is_missed_and_the_remedy_told(self):
        said = self.one(reference=REFERENCE + "- `cancel`: one of `allow`.\n")
        self.assertIn("proxy.listener.cancel is missing; add it", said)
        self.assertIn("+ FILE::TEST", said)

    def test_a_setting_that_is_gone_is_stale(self):
        rows = "gone\n + tests/a.py::test_it_works\n - tests/a.py::test_it_refuses\n"
        self.assertIn(":8: gone is no setting",
                      self.one(listed=LIST + rows, python=PYTHON + "# gone\n"))

    def test_each_sign_is_wanted_once(self):
        self.assertIn("has no negative test", self.one(listed=LIST.rpartition("    -")[0]))
        self.assertIn(":8: is neither", self.one(listed=LIST + "    - tests/a.py::test_it_works\n"))
        self.assertIn("the same one", self.one(listed=LIST.replace("a.py::test_it_refuses",
                                                                   "a.py::test_it_works")))

    def test_a_setting_twice_is_seen(self):
        self.assertIn("twice", self.complaints(listed=LIST + LIST)[0])

    def test_a_test_must_exist_and_run(self):
        for test, word in (("tests/a.py::test_of_nobody", "has no test test_of_nobody"),
                           ("tests/a.py::helper", "has no test helper"),
                           ("tests/none.py::test_it_works", "there is no file"),
                           ("src/b_test.c::it_never_runs", "has no test it_never_runs")):
            self.assertIn(word, self.one(listed=LIST.replace("src/b_test.c::it_refuses", test)))

    def test_the_file_of_a_test_must_know_the_setting(self):
        self.assertIn("says nothing of sslmode",
                      self.one(listed=LIST.replace("tests/a.py::test_it_refuses",
                                                   "src/b_test.c::it_refuses")))

    def test_a_reference_that_cannot_be_read_is_no_empty_list_of_settings(self):
        self.assertIn("there are no settings in it", "\n".join(self.complaints(reference="")))


if __name__ == "__main__":
    unittest.main()
