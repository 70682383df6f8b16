#!/usr/bin/python3
# SPDX-License-Identifier: PostgreSQL
"""Checks that every setting has a test that sees it work, and one that sees it refuse.

    tools/check_settings.py [ROOT]

tests/settings.txt names the two, setting by setting, and says in its head how.  The settings are
those of docs/settings.md, which the unit tests hold against the tables of the program.
"""
import ast
import collections
import os
import re
import sys

LIST = os.path.join("tests", "settings.txt")
REFERENCE = os.path.join("docs", "settings.md")
SIGNS = {"+": "positive", "-": "negative"}

Row = collections.namedtuple("Row", "line tests")


def settings(root):
    """All of the reference, as --set spells them: log_level, proxy.listener.sslmode."""
    found, section = [], ""
    with open(os.path.join(root, REFERENCE), encoding="utf-8") as text:
        for line in text:
            if line.startswith("## "):
                heading = re.match(r"## \[+([a-z._]+)\]+$", line)
                section = heading.group(1) + "." if heading else ""
            elif re.match(r"- `[a-z0-9_]+`: ", line):
                found.append(section + line.split("`")[1])
    return found


def read_list(root):
    """(rows by setting, complaints)"""
    rows, complaints, row = {}, [], None
    with open(os.path.join(root, LIST), encoding="utf-8") as text:
        for number, line in enumerate(text, 1):
            words = line.partition("#")[0].split()
            if len(words) == 1 and not line[0].isspace():
                if words[0] in rows:
                    complaints.append(f"{LIST}:{number}: {words[0]} is there twice")
                row = rows[words[0]] = Row(number, {})
            elif len(words) == 2 and words[0] in SIGNS and row and words[0] not in row.tests:
                row.tests[words[0]] = (number, words[1])
            elif words:
                complaints.append(f"{LIST}:{number}: is neither a setting nor one test of each "
                                  "sign below it")
    return rows, complaints


# Tests

def functions_of_python(text):
    return {node.name: ast.get_source_segment(text, node) for node in ast.parse(text).body
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def functions_of_c(text):
    """Those that the table of main names too: what is not in it does not run."""
    names = re.findall(r"^static void (\w+)\(void \*\*\w+\)$", text, re.MULTILINE)
    return {name: "" for name in names if len(re.findall(rf"\b{name}\b", text)) > 1}


class Sources:
    def __init__(self, root):
        self.root, self.texts = root, {}

    def _text(self, path):
        if path not in self.texts:
            try:
                with open(os.path.join(self.root, path), encoding="utf-8") as source:
                    self.texts[path] = source.read()
            except OSError:
                self.texts[path] = None
        return self.texts[path]

    def complaint(self, setting, test):
        """What is wrong with this test as one of the setting, or None."""
        path, _, function = test.partition("::")
        text = self._text(path)
        if text is None:
            return f"there is no file {path}"
        functions = functions_of_python(text) if path.endswith(".py") else functions_of_c(text)
        if function not in functions:
            return f"{path} has no test {function}"
        word = setting.rpartition(".")[2]
        if not re.search(rf"\b{word}\b", text):
            return f"{path} says nothing of {word}"
        return None


def check_row(setting, row, sources):
    tests = {test for _, test in row.tests.values()}
    for sign, kind in SIGNS.items():
        if sign not in row.tests:
            yield f"{LIST}:{row.line}: {setting} has no {kind} test; add a line `{sign} FILE::TEST`"
            continue
        line, test = row.tests[sign]
        complaint = sources.complaint(setting, test)
        if complaint:
            yield f"{LIST}:{line}: {complaint}"
    if len(row.tests) == 2 and len(tests) == 1:
        yield f"{LIST}:{row.line}: the two tests of {setting} are the same one"


def check(root):
    """All complaints about the list, as sentences."""
    rows, complaints = read_list(root)
    known, sources = settings(root), Sources(root)
    if not known:
        complaints.append(f"{REFERENCE}: there are no settings in it")
    for setting in known:
        if setting not in rows:
            complaints.append(
                f"{LIST}: {setting} is missing; add it with two lines below it: `+ FILE::TEST` "
                "sees it take effect, `- FILE::TEST` sees what it forbids, or a wrong value, "
                "refused")
    for setting, row in rows.items():
        if setting not in known:
            complaints.append(f"{LIST}:{row.line}: {setting} is no setting of {REFERENCE}")
        complaints += check_row(setting, row, sources)
    return complaints


def main(words):
    root = words[1] if len(words) > 1 else os.path.join(os.path.dirname(__file__), "..")
    complaints = check(root)
    for sentence in complaints:
        print(sentence)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
