# SPDX-License-Identifier: PostgreSQL
"""How a check is shown: live on a terminal, in lines, as JSON; and what of it is kept secret."""
import glob
import json
import os
import pty
import re
import select
import subprocess
import time

import pytest

from peers import doctor
from peers.postgres import PASSWORD
from peers.proxy import program, route

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.join(HERE, "..", "..")


class Terminal:
    """A check on a pseudo-terminal of its own, which is its controlling one too."""

    def __init__(self, *words, env=None):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(program(), [program(), "check", *words],
                      doctor.environment(TERM="xterm", **(env or {})))
        self.seen = b""

    def read_until(self, word, timeout=30):
        """Everything up to `word`; None: up to the end."""
        until = time.monotonic() + timeout
        while word is None or word not in self.seen:
            assert time.monotonic() < until, self.seen
            if not select.select([self.fd], [], [], 0.2)[0]:
                continue
            try:
                data = os.read(self.fd, 4096)
            except OSError:                     # the other end is gone
                data = b""
            if not data:
                assert word is None, self.seen
                return self.seen
            self.seen += data
        return self.seen

    def end(self):
        self.read_until(None)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def target(postgres, certs):
    def one(**more):
        return doctor.uri("localhost", postgres.port, user="scram",
                          sslrootcert=certs.cert("backends-ca"), **more)
    return one


def test_lines_for_a_pipe(target):
    done = doctor.run(target(password=PASSWORD))
    assert done.returncode == 0 and done.stderr == ""
    assert "\x1b" not in done.stdout and "\r" not in done.stdout
    steps = re.findall(r"^  (?:ok|!|FAIL|-) +(\w+)", done.stdout, re.M)
    assert steps == ["settings", "resolve", "connect", "negotiate", "plaintext", "handshake",
                     "certificate", "verify", "login"]
    assert done.stdout.count(" ms\n") >= len(steps)
    assert done.stdout.splitlines()[-1].startswith("good: ")


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_an_output_that_takes_nothing_is_a_failure(target, words):
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([program(), "check", target(password=PASSWORD), *words], check=False,
                              stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1 and "standard output: cannot be written" in done.stderr


def test_the_chain_is_a_tree(target):
    chain = [line for line in doctor.run(target(password=PASSWORD)).stdout.splitlines()
             if "backends" in line or "CN=localhost" in line]
    tree = [line for line in chain if "UTC" in line or "not sent" in line]
    assert len(tree) == 3 and "not sent; a trusted CA has this name" in tree[0]
    columns = [line.index("\\_") for line in tree[1:]]
    assert columns[1] == columns[0] + 3


def test_live_on_a_terminal(target, fake):
    held = []

    def hold(stream, _tell):
        held.append(stream)
        stream.rest()

    terminal = Terminal(doctor.uri("localhost", fake(hold).port, connect_timeout=4))
    seen = terminal.read_until(b"...   negotiate")   # while the server says nothing
    assert b"\x1b[32mok" in seen and b"resolve" in seen
    assert b"server.silent" not in seen
    assert terminal.end() == 1
    assert b"\r\x1b[K" in terminal.seen and b"server.silent" in terminal.seen


def test_no_colours_where_they_are_not_wanted(target):
    terminal = Terminal(target(password=PASSWORD), env={"NO_COLOR": "1"})
    assert terminal.end() == 0
    assert b"\x1b[3" not in terminal.seen and b"\r\x1b[K" in terminal.seen


def test_a_password_is_asked_for(target):
    terminal = Terminal(target(), "-W", "--json")
    terminal.read_until(b"Password: ")
    os.write(terminal.fd, PASSWORD.encode() + b"\n")
    assert terminal.end() == 0
    assert PASSWORD.encode() not in terminal.seen            # no echo
    assert b'"authenticated": "yes"' in terminal.seen


def test_a_password_cannot_be_asked_for_without_a_terminal(target):
    done = doctor.run(target(), "-W", start_new_session=True)
    assert done.returncode == 2 and "terminal" in done.stderr


def arguments_while_checking(fake, make_uri):
    """What /proc shows of a check while its server is spoken to."""
    seen = []

    def look(stream, _tell):
        for path in glob.glob("/proc/[0-9]*/cmdline"):
            try:
                with open(path, "rb") as words:
                    text = words.read()
            except OSError:
                continue
            if b"check\0" in text and str(server.port).encode() in text:
                seen.append(text)

    server = fake(look)
    doctor.run(make_uri(server.port), "--json")
    assert seen
    return seen


def test_a_password_is_wiped_from_the_list_of_arguments(fake):
    seen = arguments_while_checking(
        fake, lambda port: doctor.uri("localhost", port, password="sesame"))
    assert all(b"sesame" not in text and b":xxxxxx@" in text for text in seen)


@pytest.mark.parametrize("name", ["scram_client_key", "scram_server_key"])
@pytest.mark.parametrize("form", ["postgresql://u@localhost:{port}/d?{name}=sesame",
                                  "host=localhost port={port} user=u {name}=sesame",
                                  "host=localhost port={port} user=u {name} = 'open sesame'"])
def test_scram_keys_are_wiped_from_the_list_of_arguments(fake, form, name):
    seen = arguments_while_checking(fake, lambda port: form.format(port=port, name=name))
    assert all(b"sesame" not in text and name.encode() in text and b"xxxxxx" in text
               for text in seen)


def test_json_has_everything(target):
    found = doctor.check(target(password="wrong")).json
    assert found["good"] is False and "login" in found["verdict"]
    assert [step["state"] for step in found["steps"]][-1] == "failed"
    assert all(isinstance(step["ms"], float) for step in found["steps"])
    one = next(one for one in found["findings"] if one["id"] == "login.password-wrong")
    assert one["severity"] == "error" and one["step"] == "login" and one["text"]
    assert set(one["advice"]) == {"client", "server", "proxy"}


def shape(value):
    """The kinds of what is in a document, lists being as their first item; facts are free."""
    if isinstance(value, dict):
        return {key: "facts" if key == "facts" else shape(one) for key, one in value.items()}
    if isinstance(value, list):
        return [shape(one) for one in value[:1]]
    return "text or null" if value is None or isinstance(value, str) else type(value).__name__


def test_the_document_is_what_the_page_says(target):
    with open(os.path.join(SOURCE, "docs", "check.md"), encoding="utf-8") as page:
        said = json.loads(re.search(r"```json\n(.*?)```", page.read(), re.S).group(1))
    for found in (doctor.check(target(password="wrong")).json,
                  doctor.check("host=localhost port=1").json):
        assert list(found) == list(said) and shape(found) == shape(said)
        for part in ("steps", "findings"):
            assert all(shape(one) == shape(said[part][0]) for one in found[part])
        assert [step["name"] for step in found["steps"]] == [
            "settings", "resolve", "connect", "negotiate", "plaintext", "handshake",
            "certificate", "verify", "login"]
        assert {step["state"] for step in found["steps"]} <= {"ok", "warning", "failed", "skipped"}
        assert all(isinstance(fact, str) or all(isinstance(one, str) for one in fact)
                   for step in found["steps"] for fact in step["facts"].values())
        assert all(step["summary"] for step in found["steps"] if step["state"] == "skipped")


def test_a_failure_ends_with_advice(target):
    done = doctor.run(target(password="wrong"))
    assert done.returncode == 1
    advice = done.stdout.partition("\nfindings\n")[2]
    assert "login.password-wrong" in advice and "           client: " in advice
    assert done.stdout.splitlines()[-1].startswith("bad: with sslmode=verify-full")


def test_help_and_the_catalogue_agree():
    text = subprocess.run([program(), "help", "findings"], stdout=subprocess.PIPE, text=True,
                          check=True).stdout
    with open(os.path.join(SOURCE, "docs", "findings.md"), encoding="utf-8") as page:
        assert text == page.read()


def test_every_finding_of_the_catalogue_is_produced_by_a_test():
    """Each id stands in the assertions of scenarios 400 to 412: at least forty, and all."""
    with open(os.path.join(SOURCE, "docs", "findings.md"), encoding="utf-8") as page:
        ids = re.findall(r"^\| `([a-z0-9.-]+)`", page.read(), re.M)
    tests = ""
    for path in sorted(glob.glob(os.path.join(HERE, "test_4[01]*_check_*.py"))):
        with open(path, encoding="utf-8") as text:
            tests += text.read()
    assert len(ids) >= 40
    assert [one for one in ids if f'"{one}"' not in tests] == []


# ---- docs/check.md ----

def essence(text):
    """Findings and verdict; whether a group is hybrid is for the TLS libraries to say, and
    whether localhost is ::1 too for the machine."""
    found = re.findall(r"^        (?:error|warning|info) ([a-z.-]+)", text, re.M)
    return {"findings": set(found) - {"handshake.not-post-quantum", "connect.some-dead"},
            "verdict": text.rstrip().splitlines()[-1]}


def transcript(number):
    """What the n-th transcript of the page shows."""
    with open(os.path.join(SOURCE, "docs", "check.md"), encoding="utf-8") as page:
        blocks = re.findall(r"```\n(\$ pgtls check .*?)```", page.read(), re.S)
    return essence(blocks[number])


def shown(uri, *words):
    done = doctor.run(uri, *words)
    return essence(done.stdout)


def test_the_first_diagnosis_of_the_page(fake, odd):
    odd.issue("good")
    server = fake(doctor.server(odd.server("good")))
    found = shown(doctor.uri("localhost", server.port, sslrootcert=odd.file("odd-ca.pem")))
    assert found == transcript(0)


def test_the_second_diagnosis_of_the_page(start, postgres, listener, verified, certs):
    proxy = start(route(verified(postgres.address), listener()))
    found = shown(doctor.uri("localhost", proxy.port, user="scram", password=PASSWORD,
                             sslrootcert=certs.cert("servers-ca")))
    assert found == transcript(1)


def test_the_third_diagnosis_of_the_page(postgres):
    found = shown(doctor.uri("localhost", postgres.port, scheme="rediss", user="",
                             database="0"))
    assert found == transcript(2)
