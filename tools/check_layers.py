#!/usr/bin/python3
# SPDX-License-Identifier: PostgreSQL
"""Checks that src/ keeps its layers.

    tools/check_layers.py [SOURCE_ROOT]

src/LAYERS says which folder may include which; the rules below say which folder may
use the system's sockets, clocks, output and libraries.  Each breach is one sentence.
"""
import os
import re
import sys
from typing import NamedTuple


class Rule(NamedTuple):
    pattern: str            # of a line without comments and texts of strings
    folders: tuple          # where it is allowed
    sentence: str
    tests_too: bool = False


INCLUDE = r"^\s*#\s*include\s*"
RULES = (
    Rule(INCLUDE + r"<openssl/", ("crypto", "x509", "tls"), "only {} may use OpenSSL"),
    Rule(INCLUDE + r"<(sys/socket\.h|sys/epoll\.h|sys/un\.h|liburing\.h|netinet/\w+\.h|netdb\.h)>",
         ("io",), "only {} may use sockets"),
    Rule(INCLUDE + r"<stringprep\.h>", ("scram",), "only {} may use libidn"),
    Rule(INCLUDE + r"<ares", ("io",), "only {} may use c-ares"),
    Rule(r"\b(clock_gettime|gettimeofday)\s*\(|\btime\s*\(\s*(NULL|0|&)", ("io",),
         "only {} may read a clock: be told the time"),
    Rule(r"(?<![\w.>])(printf|fprintf|vprintf|vfprintf|dprintf|puts|fputs|putchar|putc|fputc"
         r"|fwrite|perror)\s*\(", ("cli",), "only {} may print"),
    Rule(r"(?<![\w.>])(exit|_exit|quick_exit)\s*\(", ("cli",), "only {} may exit"),
    Rule(INCLUDE + r"<toml", ("conf",), "only {} may use toml++"),
    Rule(INCLUDE + r"\"[^\"]*\.c(pp)?\"", (), "a source is not included", True),
)
CPP_FILES = ("conf/toml.cpp",)
TEST_FOLDERS = ("harness", "sim")


def read_layers(path):
    """{folder: set of folders it may include}; a list of complaints about the table itself."""
    table, complaints = {}, []
    with open(path, encoding="utf-8") as text:
        for number, line in enumerate(text, 1):
            line = line.partition("#")[0].strip()
            if not line:
                continue
            folder, colon, allowed = line.partition(":")
            folder = folder.strip()
            if not colon or not folder or folder in table:
                complaints.append(f"{path}:{number}: expected `folder : folders`, each once")
                continue
            for other in allowed.split():
                if other not in table:
                    complaints.append(f"{path}:{number}: {folder} may include {other}, which is "
                                      f"not above it: that way lies a circle")
            table[folder] = set(allowed.split()) | {folder}
    return table, complaints


def without_comments(text):
    """The same lines, with comments and the inside of strings gone; includes are kept."""
    def blank(match):
        return re.sub(r"[^\n]", "", match.group(0))

    text = re.sub(r"/\*.*?\*/|//[^\n]*", blank, text, flags=re.DOTALL)
    lines = []
    for line in text.split("\n"):
        if not re.match(INCLUDE, line):
            line = re.sub(r'"(\\.|[^"\\])*"', '""', line)
        lines.append(line)
    return lines


def check_include(where, folder, target, table, is_test):
    other = target.split("/")[0] if "/" in target else None
    if other is None:
        return f'{where}: "{target}" is included without its folder'
    if other == "pgtls" or (is_test and other in TEST_FOLDERS):
        return None
    if other not in table:
        return f"{where}: {folder} includes {target}, and {other} is not in src/LAYERS"
    if other not in table[folder]:
        return f"{where}: {folder} may not include {other} ({target})"
    return None


def check_file(root, folder, name, table):
    path = os.path.join("src", folder, name)
    is_test = "_test." in name
    if name.endswith((".cpp", ".cc", ".cxx", ".hpp")) and f"{folder}/{name}" not in CPP_FILES:
        yield f"{path}: C++ is for {', '.join(CPP_FILES)} only"
    with open(os.path.join(root, path), encoding="utf-8") as source:
        lines = without_comments(source.read())
    for number, line in enumerate(lines, 1):
        where = f"{path}:{number}"
        found = re.match(INCLUDE + r'"([^"]+)"', line)
        complaint = found and check_include(where, folder, found.group(1), table, is_test)
        if complaint:
            yield complaint
        for rule in RULES:
            applies = folder not in rule.folders and (rule.tests_too or not is_test)
            if applies and re.search(rule.pattern, line):
                yield f"{where}: " + rule.sentence.format(" and ".join(rule.folders))


def check(root):
    """All complaints about a source tree, as sentences."""
    table, complaints = read_layers(os.path.join(root, "src", "LAYERS"))
    source = os.path.join(root, "src")
    for folder in sorted(os.listdir(source)):
        if not os.path.isdir(os.path.join(source, folder)):
            continue
        if folder not in table:
            complaints.append(f"src/{folder}: this folder is not in src/LAYERS")
            continue
        for name in sorted(os.listdir(os.path.join(source, folder))):
            if name.endswith((".c", ".h", ".cpp", ".cc", ".cxx", ".hpp")):
                complaints += check_file(root, folder, name, table)
    return complaints


def main(words):
    root = words[1] if len(words) > 1 else os.path.join(os.path.dirname(__file__), "..")
    complaints = check(root)
    for sentence in complaints:
        print(sentence)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
