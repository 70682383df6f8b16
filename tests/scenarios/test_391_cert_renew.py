# SPDX-License-Identifier: PostgreSQL
"""Renewal, hooks, owners, full disks, several runs at once."""
import os
import re
import resource
import signal
import subprocess
import threading

import pytest

from peers import cert
from peers.proxy import program, program_of_others


@pytest.fixture
def ca(folder):
    return cert.Authorities(folder)


def renew(ca, *words, names=("localhost",), before="30d", days="90", authority="int", **more):
    names = [word for name in names for word in ("--name", name)]
    return cert.run("server", "--ca", ca.path(authority), *names, "--days", days, "--out",
                    ca.path("db"), "--renew-before", before, *words, **more)


def serial(ca):
    return cert.serial_of(ca.path("db", "server.crt"))


def changes(ca, *words, **more):
    before = serial(ca)
    done = renew(ca, *words, **more)
    assert (done.code, done.err) == (0, ""), done
    assert done.out == ("unchanged\n" if serial(ca) == before else "renewed\n"), done
    return done.out == "renewed\n"


def test_renewed_or_unchanged_and_nothing_else_is_printed(ca):
    assert renew(ca).out == "renewed\n"         # the first one too
    assert not changes(ca)
    assert not changes(ca, before="89d")
    assert changes(ca, days="20", before="10d", names=("other",))
    assert changes(ca, names=("other",))        # 20 days are less than 30
    assert not changes(ca, names=("other",))


def test_what_is_asked_for_counts_not_only_the_date(ca):
    renew(ca, names=("a.b", "10.0.0.1"))
    assert not changes(ca, names=("10.0.0.1", "a.b"), before="30d", *["--subject", "CN=a.b"])
    assert changes(ca, names=("a.b",))
    assert changes(ca, names=("a.b",), *["--subject", "CN=a.b,O=Example"])
    assert changes(ca, names=("a.b",), *["--key", "ec:P-384"])
    assert changes(ca, names=("a.b",), *["--key", "ec:P-256"])
    assert not changes(ca, names=("a.b",))
    cert.good("intermediate", "--ca", ca.path("root"), "--subject", "CN=Second", "--out",
              ca.path("second"))
    assert changes(ca, names=("a.b",), authority="second")
    other = ca.server(out="other")
    os.replace(f"{other}/server.key", ca.path("db", "server.key"))
    assert changes(ca, names=("a.b",), authority="second")
    os.unlink(ca.path("db", "server.key"))
    assert changes(ca, names=("a.b",), authority="second")
    cert.verify(ca.path("root", "ca.crt"), ca.path("db", "server.crt"))


def test_a_certificate_that_ends_with_its_authority_is_not_renewed_for_nothing(ca):
    cert.good("intermediate", "--ca", ca.path("root"), "--subject", "CN=Short", "--days", "20",
              "--out", ca.path("short"))
    assert "ends with its authority" in renew(ca, authority="short").err
    before = serial(ca)
    done = renew(ca, authority="short")
    assert done.out == "unchanged\n" and serial(ca) == before


def test_what_was_there_and_is_no_certificate_is_no_renewal(ca):
    os.mkdir(ca.path("db"))
    for name, text in (("server.key", "waiting for a certificate\n"),):
        with open(ca.path("db", name), "w", encoding="ascii") as file:
            file.write(text)
    done = renew(ca)
    assert done.code == 1 and "server.key is there already" in done.err
    os.rename(ca.path("db", "server.key"), ca.path("db", "server.crt"))
    done = renew(ca)
    assert done.code == 1 and "no certificate in" in done.err
    assert os.listdir(ca.path("db")) == ["server.crt"]


def test_the_hook_runs_after_a_renewal_and_only_then(ca):
    hook = f'echo "$PGTLS_CERT $PGTLS_KEY" >>{ca.path("ran")}; echo said; read x || echo eof'
    done = renew(ca, "--deploy-hook", hook)
    assert done.out == "renewed\n" and done.err == "said\neof\n", done
    assert renew(ca, "--deploy-hook", hook).err == ""
    with open(ca.path("ran"), encoding="ascii") as text:
        assert text.read() == f"{ca.path('db', 'server.crt')} {ca.path('db', 'server.key')}\n"


@pytest.mark.parametrize("hook, text", [("exit 3", "ended with status 3"),
                                        ("kill -9 $$", "ended by signal 9")])
def test_a_hook_that_fails_is_told_and_the_files_stay(ca, hook, text):
    done = renew(ca, "--deploy-hook", hook)
    assert done.code == 1 and done.out == "renewed\n" and text in done.err, done
    cert.verify(ca.path("root", "ca.crt"), ca.path("db", "server.crt"))
    done = renew(ca, "--deploy-hook", hook)         # nothing new to deploy
    assert (done.code, done.out, done.err) == (0, "unchanged\n", "")


def test_a_renewal_keeps_owner_group_and_mode(ca):
    renew(ca)
    if os.getuid() != 0:
        pytest.skip("only root can give files away")
    os.chown(ca.path("db", "server.key"), 1234, 2345)
    os.chown(ca.path("db", "server.crt"), 1234, 2345)
    os.chmod(ca.path("db", "server.crt"), 0o640)
    assert changes(ca, names=("new.name",))
    key, crt = (os.stat(ca.path("db", name)) for name in ("server.key", "server.crt"))
    assert (key.st_uid, key.st_gid, key.st_mode & 0o777) == (1234, 2345, 0o600)
    assert (crt.st_uid, crt.st_gid, crt.st_mode & 0o777) == (1234, 2345, 0o640)
    assert not changes(ca, names=("new.name",))     # another's key can still be compared
    os.chown(ca.path("db", "server.key"), 0, 2345)
    os.chmod(ca.path("db", "server.key"), 0o640)
    assert changes(ca)
    key = os.stat(ca.path("db", "server.key"))
    assert (key.st_uid, key.st_gid, key.st_mode & 0o777) == (0, 2345, 0o640)


def test_who_cannot_keep_the_owner_changes_nothing(ca):
    if os.getuid() != 0:
        pytest.skip("only root can become another")
    renew(ca)
    db = ca.path("db")
    for place in (ca.folder, db, ca.path("int")):
        os.chmod(place, 0o777)
    for place in (db, ca.path("int")):
        for name in os.listdir(place):
            os.chown(os.path.join(place, name), 1234, 1234)
    os.chown(os.path.join(db, "server.key"), 0, 0)
    before = cert.contents(db), cert.contents(ca.path("int"))
    done = renew(ca, names=("other",), user=1234, group=1234, extra_groups=[],
                 executable=program_of_others(ca.folder))
    assert done.code == 1 and "cannot be given to uid 0" in done.err, done
    assert before == (cert.contents(db), cert.contents(ca.path("int")))


# ---- disks ----

def without_space():
    """Every write fails with EFBIG, as with ENOSPC on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


def small_files(limit):
    def limited():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    return limited


# The key has 241 bytes, the index more, the chain more than both: each fails in its turn.
@pytest.mark.parametrize("limit", [0, 100, 250, 600])
def test_a_disk_that_is_full_leaves_the_old_files(ca, limit):
    renew(ca)
    before = cert.contents(ca.path("db")), cert.contents(ca.path("int"))
    done = renew(ca, names=("other.name",), preexec_fn=small_files(limit),
                 restore_signals=False)
    assert done.code == 1 and "could not write" in done.err and "File too large" in done.err, done
    assert before == (cert.contents(ca.path("db")), cert.contents(ca.path("int")))
    assert changes(ca, names=("other.name",))


def test_a_full_disk_makes_no_folder(folder):
    done = cert.run("ca", "--subject", "CN=R", "--out", f"{folder}/ca", preexec_fn=without_space,
                    restore_signals=False)
    assert done.code == 1 and "could not write" in done.err, done
    assert os.listdir(folder) == []


def test_a_small_file_system_that_fills_up(folder):
    place = os.path.join(folder, "small")
    os.mkdir(place)
    script = f"""mount -t tmpfs -o size=28k none {place} 2>/dev/null || exit 77
        set -e; P={program()}
        $P cert self-signed --name a.b --out {place}/db >/dev/null
        sum=$(cat {place}/db/*)
        ! dd if=/dev/zero of={place}/fill bs=1k 2>/dev/null
        ! $P cert self-signed --name c.d --out {place}/db --force
        test "$sum" = "$(cat {place}/db/*)"
        ls -A {place}/db
        """
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True,
                          text=True, timeout=60, check=False)
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("no file system can be mounted here")
    assert done.returncode == 0 and done.stdout == "server.crt\nserver.key\n", done
    assert "No space left on device" in done.stderr


def test_what_a_crash_left_behind_is_no_obstacle(ca):
    renew(ca)
    for name in (".server.key.new", ".server.crt.new", ".server.key.old"):
        with open(ca.path("db", name), "w", encoding="ascii") as file:
            file.write("half of a key")
    assert changes(ca, names=("other",))
    assert sorted(cert.contents(ca.path("db"))) == ["root.crt", "server.crt", "server.key"]


# ---- at once ----

def at_once(jobs):
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)


def test_several_runs_at_once_lose_nothing(ca):
    at_once([lambda n=n: ca.client(f"user{n}") for n in range(12)])
    with open(ca.path("int", "index.txt"), encoding="ascii") as text:
        rows = text.read().splitlines()
    assert len(rows) == 12
    noted = {row.split("\t")[3] for row in rows}
    assert noted == {cert.serial_of(ca.path(f"user{n}", "client.crt")) for n in range(12)}
    at_once([lambda n=n: cert.good("revoke", "--ca", ca.path("int"),
                                   ca.path(f"user{n}", "client.crt")) for n in range(0, 12, 2)]
            + [lambda: cert.good("crl", "--ca", ca.path("int"))] * 4)
    done = cert.good("crl", "--ca", ca.path("int"))
    assert "number 05, 6 revoked" in done.out, done


def test_several_renewals_at_once_are_one(ca):
    outputs = []
    at_once([lambda: outputs.append(renew(ca).out)] * 6)
    assert sorted(outputs) == ["renewed\n"] + ["unchanged\n"] * 5
    with open(ca.path("int", "index.txt"), encoding="ascii") as text:
        assert len(text.readlines()) == 1
    cert.verify(ca.path("root", "ca.crt"), ca.path("db", "server.crt"))


def test_two_that_want_each_other_s_folders_do_not_wait_for_ever(ca):
    """Authorities that write into each other's folder: the locks are taken in one order."""
    cert.good("ca", "--subject", "CN=Other", "--out", ca.path("other"))
    for name in ("int", "other"):
        os.chmod(ca.path(name), 0o755)
    at_once([lambda n=n, a=a, b=b: cert.run("client", "--ca", ca.path(a), "--user", "x", "--out",
                                            ca.path(b), "--force", timeout=100)
             for n in range(4) for a, b in (("int", "other"), ("other", "int"))])
    rows = [len(re.findall("^V", open(ca.path(name, "index.txt"), encoding="ascii").read(),
                           re.MULTILINE)) for name in ("int", "other")]
    assert rows == [4, 4]
