"""What holds for every test: with VERSO_TEST_REQUIRE_ALL set, a missing part is a failure and not a skip."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import httpx
import hypothesis
import pytest
from httpx._config import DEFAULT_TIMEOUT_CONFIG
from httpx._transports import default as transports

if TYPE_CHECKING:
    import ssl
    from collections.abc import Generator

# The one skip that says nothing about this machine: what runs only against a Supabase that somebody names.
OPTIONAL = "optional:"
PATIENCE = 60
"""Seconds that a test waits for an answer where it doesn't say: five are little on a machine with much to do."""


def pytest_configure() -> None:
    # Tests start hundreds of processes, and each compiles a thousand modules where none may be kept.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    _read_authorities_once()
    for phase in ("connect", "read", "write", "pool"):
        setattr(DEFAULT_TIMEOUT_CONFIG, phase, PATIENCE)
    # How long an example takes says more of the machine than of the code. (Under CI it's so by itself.)
    hypothesis.settings.register_profile(
        "unhurried", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
    )
    hypothesis.settings.load_profile("unhurried")


def _read_authorities_once() -> None:
    """Every client of httpx reads all certificate authorities anew (20 ms), and tests make thousands of clients."""
    usual = httpx.create_ssl_context(trust_env=False)

    def create(verify: Any = True, cert: Any = None, trust_env: bool = True) -> ssl.SSLContext:
        named = trust_env and os.environ.keys() & {"SSL_CERT_FILE", "SSL_CERT_DIR"}
        return usual if verify is True and not named else httpx.create_ssl_context(verify, cert, trust_env)

    transports.create_ssl_context = create


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from tests.scheduling import DirectoryScheduling  # noqa: PLC0415 - xdist may be absent

    return DirectoryScheduling(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _required((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _required((yield))


def _required(report: Any) -> Any:
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("VERSO_TEST_REQUIRE_ALL"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not reason.removeprefix("Skipped: ").startswith(OPTIONAL):
            report.outcome = "failed"
            report.longrepr = f"{reason}\n(VERSO_TEST_REQUIRE_ALL is set: what a test needs must be there.)"
    return report
