#!/usr/bin/python3
# SPDX-License-Identifier: PostgreSQL
"""Runs the tests, one line a step, and ends with the sum.

    tools/run_tests.py quick     unit tests, house rules, quick scenarios, the quick parts of
                                 the matrix of clients and of the zoo         (make test)
    tools/run_tests.py long      the scenarios that take long, all of the matrix and of the zoo
                                                                              (make test-long)
    tools/run_tests.py ci        all of it, with both compilers and sanitizers, and what is about
                                 TLS with Debian 13 too                       (.ci/run)
    tools/run_tests.py debian13  that part, inside the tree of tools/trixie_tests.sh

The output of a step that failed is printed; the others leave theirs in BUILD/*.log.
The last line is `N passed, N failed`; the exit code is 1 if any failed.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PYTHON = "/usr/bin/python3"         # Debian's: it has psycopg
JOBS = str(len(os.sched_getaffinity(0)))
SCENARIOS_AT_ONCE = "4"             # they wait more than they work
STEP_LIMIT_S = 1500
ENGLISH = {"LC_ALL": "C.UTF-8"}     # psql and others speak the language of whoever runs the tests


class Step:
    """One command.  Its output is counted by `count`, which returns passed and failed."""

    def __init__(self, name, words, build, count=None, env=None):
        self.name, self.words, self.build = name, words, build
        self.count, self.env = count, env or {}

    def run(self):
        started = time.monotonic()
        os.makedirs(self.build, exist_ok=True)
        file = os.path.join(self.build, re.sub(r"\W+", "-", self.name) + ".log")
        code, text = run_command(self.words, self.env, file)
        passed, failed = self.count(text, self.build) if self.count else (0, 0)
        if code != 0 and failed == 0:
            failed = 1
        if code == 0 and self.count is None:
            passed = 1
        result = "FAIL" if failed else "ok  "
        print(f"{result} {self.name}: {passed} passed, {failed} failed "
              f"({time.monotonic() - started:.0f} s)", flush=True)
        if failed:
            print(text[-30000:], flush=True)
        return passed, failed


def wait(process):
    """Its exit code.  What it has started ends with it, whatever ends this: a step that took too
    long would go on beside the next one."""
    try:
        return process.wait(STEP_LIMIT_S)
    except BaseException:
        os.killpg(process.pid, signal.SIGTERM)      # it may be this program again
        time.sleep(5)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise


def run_command(words, env, file):
    with open(file, "w", encoding="utf-8", errors="replace") as out:
        try:
            code = wait(subprocess.Popen(
                words, cwd=SOURCE, env={**os.environ, **ENGLISH, **env}, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT))
        except subprocess.TimeoutExpired:
            out.write(f"\nit took more than {STEP_LIMIT_S} s\n")
            code = 1
        except OSError as error:
            out.write(f"{error}\n")
            code = 1
    with open(file, encoding="utf-8", errors="replace") as text:
        return code, text.read()


# Counting

def count_meson(_text, build):
    """The single tests of each program, as cmocka and unittest print them."""
    passed = failed = 0
    try:
        with open(os.path.join(build, "meson-logs", "testlog.json"), encoding="utf-8") as rows:
            results = [json.loads(row) for row in rows if row.strip()]
    except OSError:
        return 0, 1
    for one in results:
        text = (one.get("stdout") or "") + (one.get("stderr") or "")
        good = len(re.findall(r"^\[ +OK \] ", text, re.MULTILINE))
        ran = re.search(r"^Ran (\d+) tests? in", text, re.MULTILINE)
        good = int(ran.group(1)) if ran else good
        bad = len(re.findall(r"^\[  FAILED  \] \w+$(?![\s\S]*^\[=)", text, re.MULTILINE))
        if one["result"] in ("OK", "EXPECTEDFAIL"):
            passed += max(good, 1)
        elif one["result"] != "SKIP":
            passed += good
            failed += max(bad, 1)
    return passed, failed


def count_pytest(text, _build):
    last = text.rstrip().rpartition("\n")[2]
    numbers = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|errors?)", last)}
    failed = sum(n for word, n in numbers.items() if word != "passed")
    if not numbers:
        failed = 1
    return numbers.get("passed", 0), failed


def count_sum(text, _build):
    """The sum that this program itself ends with; make may say something behind it."""
    sums = re.findall(r"^(\d+) passed, (\d+) failed$", text, re.MULTILINE)
    return (int(sums[-1][0]), int(sums[-1][1])) if sums else (0, 1)


# Steps

def setup(build, *options, env=None):
    words = ["meson", "setup", build, *options]
    if os.path.exists(os.path.join(build, "build.ninja")):
        words = ["meson", "configure", build, *[o for o in options if o.startswith("-D")]]
    else:                           # or half of one that was killed
        shutil.rmtree(os.path.join(build, "meson-private"), ignore_errors=True)
    return Step(f"set up {os.path.basename(build)}", words, build, env=env)


def compile_(build):
    return Step(f"build {os.path.basename(build)}", ["ninja", "-C", build, "-j", JOBS], build)


def disturbed_by_random_addresses():
    """ThreadSanitizer of these compilers wants a fixed layout of memory."""
    words = ["setarch", "-R", "true"]
    if shutil.which("setarch") and subprocess.run(words, check=False).returncode == 0:
        return ["setarch", "-R"]
    return []


def unit(build, *more, env=None, wrapper=()):
    words = [*wrapper, "meson", "test", "-C", build, "--no-rebuild", "--print-errorlogs",
             "--num-processes", JOBS, "--timeout-multiplier", "5", *more]
    return Step(f"unit tests and house rules, {os.path.basename(build)}", words, build,
                count_meson, env)


def quick_unit(build, **more):
    return unit(build, "--no-suite", "long", **more)


def long_unit(build, **more):
    step = unit(build, "--suite", "long", **more)
    step.name = f"random conversations, {os.path.basename(build)}"
    return step


def program_of(build):
    for place in (("src",), ("src", "cli"), ()):
        path = os.path.join(build, *place, "pgtls")
        if os.path.isfile(path):
            return path
    return os.path.join(build, "src", "pgtls")


class Scenarios(Step):
    """Where the program is, is known only once it is built."""

    def __init__(self, name, build, *words, wrapper=(), env=None):
        command = [*wrapper, PYTHON, "-m", "pytest", "-q", "--tb=short", "-n", SCENARIOS_AT_ONCE,
                   os.path.join(SOURCE, "tests", "scenarios"), *words]
        super().__init__(f"scenarios, {name}", command, build, count_pytest, env)

    def run(self):
        self.env = {"PYTHONDONTWRITEBYTECODE": "1", **self.env,
                    "PGTLS_PROGRAM": program_of(self.build)}
        return super().run()


# By number.  They run on the machine itself, and would find nothing else there.
NOT_ABOUT_TLS = ("040", "050", "060", "080", "110", "120", "130", "140", "150", "160", "170", "180",
                 "185", "190", "200", "210", "220", "230", "240", "250", "360", "394")


class Matrix(Step):
    """Every sslmode of client, listener and backend: tests/matrix."""

    def __init__(self, name, build, *words):
        command = [PYTHON, os.path.join(SOURCE, "tests", "matrix", "run.py"), *words]
        super().__init__(f"matrix of clients, {name}", command, build, count_pytest)

    def run(self):
        self.env = {"PYTHONDONTWRITEBYTECODE": "1", "PGTLS_PROGRAM": program_of(self.build)}
        return super().run()


class Zoo(Step):
    """Odd certificates on both legs, beside libpq and PostgreSQL: tests/zoo."""

    def __init__(self, name, build, *words, env=None):
        command = [PYTHON, os.path.join(SOURCE, "tests", "zoo", "run.py"), *words]
        super().__init__(f"zoo of certificates, {name}", command, build, count_pytest, env)

    def run(self):
        self.env = {"PYTHONDONTWRITEBYTECODE": "1", **self.env,
                    "PGTLS_PROGRAM": program_of(self.build)}
        return super().run()


SANITIZERS = {
    "ASAN_OPTIONS": "abort_on_error=0:exitcode=99:detect_leaks=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1:exitcode=99",
    "TSAN_OPTIONS": "halt_on_error=0:exitcode=99",
}


def quick():
    build = os.path.join(SOURCE, "build")
    return [setup(build), compile_(build), quick_unit(build), Scenarios("quick", build),
            Matrix("quick", build), Zoo("quick", build)]


def long():
    build = os.path.join(SOURCE, "build")
    return [setup(build), compile_(build), long_unit(build),
            Scenarios("long", build, "--long"), Matrix("long", build, "--long"),
            Zoo("long", build, "--long")]


def compiler(name, cc, cxx):
    build = os.path.join(SOURCE, f"build-{name}")
    return [setup(build, "-Dwerror=true", env={"CC": cc, "CXX": cxx}), compile_(build),
            quick_unit(build)]


def sanitized(name, flags, *words):
    build = os.path.join(SOURCE, f"build-{name}")
    wrapper = disturbed_by_random_addresses() if name == "tsan" else []
    env = {**SANITIZERS, "PGTLS_BUILD": "sanitized"}
    options = [f"-Db_sanitize={flags}", "-Dbuildtype=debugoptimized", "-Db_lundef=false"]
    return [setup(build, *options), compile_(build), quick_unit(build, env=env, wrapper=wrapper),
            Scenarios(f"quick, {name}" if not words else f"some, {name}", build, *words, env=env,
                      wrapper=wrapper),
            *([] if words else [Zoo(f"quick, {name}", build, env=env)])]


def ci():
    build = os.path.join(SOURCE, "build")
    return [Step("format", ["tools/format.sh", "--check"], build),
            *compiler("gcc", "gcc", "g++"), *compiler("clang", "clang", "clang++"),
            *sanitized("asan", "address,undefined"),
            *sanitized("tsan", "thread", "-m", "thread"),
            # the other steps take io_uring where the machine has it: both loops do all that is quick
            Step("make test, epoll", ["make", "test"], build, count_sum,
                 {"PGTLS_EVENT_LOOP": "epoll"}), long_unit(build),
            Scenarios("long", build, "--long"), Matrix("long", build, "--long"),
            Zoo("long", build, "--long"),
            Step("Debian 13", ["tools/trixie_tests.sh"], build, count_sum)]


def long_talk(build):
    """A million records between our layer and OpenSSL's."""
    step = unit(build, "tls/record_talk, long")
    step.name = f"long talks in TLS, {os.path.basename(build)}"
    return step


def debian13():
    """What OpenSSL 3.5 and PostgreSQL 17 could make different; see tools/trixie_tests.sh."""
    build = os.path.join(SOURCE, "build")
    others = [f"--ignore-glob=*/test_{number}_*" for number in NOT_ABOUT_TLS]
    return [setup(build, "-Dbuildtype=debug"), compile_(build), quick_unit(build),
            long_talk(build), Scenarios("about TLS", build, *others), Zoo("quick", build)]


def main(words):
    plans = {"quick": quick, "long": long, "ci": ci, "debian13": debian13}
    if len(words) != 2 or words[1] not in plans:
        print(__doc__, file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    passed = failed = 0
    for step in plans[words[1]]():
        good, bad = step.run()
        passed, failed = passed + good, failed + bad
        if bad and step.count is None and words[1] != "ci":
            break                       # no build, nothing to test
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
