# SPDX-License-Identifier: PostgreSQL
"""A page of docs/ that a table of the tests prints: shown, written, or held against the file."""
import os
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")


def main(words, document, text, usage):
    """`document` is the page's path below ROOT, `text` what it must be."""
    path = os.path.join(ROOT, document)
    if words[1:] == ["--write"]:
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
    elif words[1:] == ["--check"]:
        with open(path, encoding="utf-8") as page:
            if page.read() != text:
                script = os.path.relpath(os.path.abspath(words[0]), ROOT)
                sys.exit(f"{document} is not what {script} prints: use --write")
    elif words[1:]:
        sys.exit(usage)
    else:
        sys.stdout.write(text)
