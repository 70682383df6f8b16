# SPDX-License-Identifier: PostgreSQL
"""How many files this process, and those that it starts, may have open."""
import resource

import pytest


def allow(most):
    """As many as that, if the machine lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def need(count):
    """Leaves the scenario out where there are fewer."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        pytest.skip(f"{count} open files are needed, {soft} are allowed")
