"""`verso doctor` finds out whether all is there that Verso needs, and behaves as it must.

    examination.py  what is examined, what a check finds, and the order of the checks
    connection.py   address, key, schema version, signing keys, sign-in, token, profile
    rights.py       what strangers and direct writes are refused; the bucket
    round_trip.py   a version written and read back by the service's own code; overwriting it is refused
    report.py       the findings, for people and for programs

A check looks at behaviour, never at configuration alone: a policy is right when the forbidden thing is
refused.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING

import msgspec
import structlog

from app.cli.doctor.examination import Credentials, examine
from app.cli.doctor.report import as_json_text, print_report
from app.settings import Settings, SettingsError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Credentials", "DoctorError", "run_doctor"]


class DoctorError(Exception):
    """There's nothing to examine; the message says what to set."""


def run_doctor(credentials: Credentials, *, data: Path, as_json: bool) -> int:
    """Examine, print, and return 0 when all is well, else 1. Raises DoctorError when nothing is set.

    Without settings in the environment, a running `verso dev` on `data` is examined, as its owner.
    """
    try:
        settings = Settings.from_environment()
    except SettingsError as error:
        settings, credentials = _of_dev(data / "dev.json", credentials, otherwise=error)
    # What goes wrong is told by the findings; the service's own log lines would stand in between.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    findings = asyncio.run(examine(settings, credentials))
    if as_json:
        print(as_json_text(settings, findings))
    else:
        print_report(settings, findings)
    return 1 if any(finding.state == "failed" for finding in findings) else 0


def _of_dev(
    handout: Path, credentials: Credentials, *, otherwise: SettingsError
) -> tuple[Settings, Credentials]:
    try:
        values = json.loads(handout.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise DoctorError(f"{otherwise} Or start `verso dev`, which is then examined.") from None
    settings = Settings(
        supabase_url=values["supabase_url"], supabase_publishable_key=values["publishable_key"]
    )
    owner = values["people"].get("owner")
    if owner and credentials == Credentials():
        credentials = msgspec.structs.replace(credentials, email=owner["email"], password=owner["password"])
    return settings, credentials
