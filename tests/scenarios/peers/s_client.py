# SPDX-License-Identifier: PostgreSQL
"""openssl s_client, for what Python's ssl module cannot be told: groups, and what was chosen."""
import re
import subprocess


class Answer:
    def __init__(self, text):
        self.text = text
        self.works = "Verification" in text and "Cipher is (NONE)" not in text \
            and bool(re.search(r"^New, |^Reused, ", text, re.MULTILINE))

    def find(self, pattern):
        found = re.search(pattern, self.text, re.MULTILINE)
        return found.group(1) if found else None

    @property
    def group(self):
        """"X25519, 253 bits" """
        return self.find(r"^(?:Server Temp Key|Peer Temp Key): (.*)$")


def s_client(port, *words, starttls=True, timeout=30):
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *words]
    if starttls:
        command += ["-starttls", "postgres"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=timeout, check=False)
    return Answer(done.stdout.decode("utf-8", "replace"))
