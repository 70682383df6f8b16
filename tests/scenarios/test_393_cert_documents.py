# SPDX-License-Identifier: PostgreSQL
"""Every command of docs/certificates.md, in its order; what it makes passes strict verification."""
import os
import re
import subprocess

from peers import cert
from peers.proxy import program

PAGE = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "certificates.md")


def commands():
    with open(PAGE, encoding="utf-8") as page:
        blocks = re.findall(r"^```sh\n(.*?)^```", page.read(), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def test_the_commands_of_the_page_work_in_their_order(folder):
    lines = commands()
    assert len(lines) >= 14 and all(line.startswith("pgtls cert ") for line in lines)
    os.symlink(os.path.abspath(program()), f"{folder}/pgtls")
    env = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    outputs = {}
    for line in lines:
        done = subprocess.run(["sh", "-c", line], cwd=folder, env=env, capture_output=True,
                              text=True, timeout=60, check=False)
        assert done.returncode == 0, (line, done)
        outputs[line.split()[2]] = done.stdout
    assert "BAD" not in outputs["verify"] and outputs["verify"].count("good") == 8
    assert "certificates" in outputs["show"] and "right;" in outputs["show"]
    for root, chain in (("self/server.crt", "self/server.crt"), ("ca/ca.crt", "two/server.crt"),
                        ("three/root.crt", "three/server.crt"), ("db/root.crt", "db/server.crt"),
                        ("exroot/ca.crt", "app/server.crt")):
        cert.verify(f"{folder}/{root}", f"{folder}/{chain}", "-purpose", "sslserver")
    cert.verify(f"{folder}/alice/root.crt", f"{folder}/alice/client.crt", "-purpose", "sslclient",
                "-crl_check_all", "-CRLfile", f"{folder}/all.crl", fails=True)


def test_each_recipe_of_postgresql_s_chapter_is_one_command():
    recipes = [line for line in commands() if line.endswith((" self/", " two/", " three/"))]
    assert len(recipes) == 3


def test_the_renewal_of_the_page_is_unchanged_at_first(folder):
    lines = commands()
    env = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    os.symlink(os.path.abspath(program()), f"{folder}/pgtls")
    made = [next(line for line in lines if start in line) for start in
            ("--out exroot/", "--out int/", "--out db/", "--renew-before")]
    done = [subprocess.run(["sh", "-c", line], cwd=folder, env=env, capture_output=True,
                           text=True, timeout=60, check=False) for line in made]
    assert done[-1].stdout == "unchanged\n" and done[-1].stderr == "", done
