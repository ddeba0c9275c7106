"""A PostgreSQL cluster on disk: how it is made, and the settings that it runs with."""

from __future__ import annotations

import secrets
import shutil
import subprocess
from typing import TYPE_CHECKING

from app.local.binaries import PostgresError

if TYPE_CHECKING:
    from pathlib import Path

    from app.local.binaries import Binaries

# fsync and synchronous_commit stay at their defaults: an acknowledged write survives a power cut.
SETTINGS = {
    "cluster_name": "supabase",
    "max_connections": "100",
    "shared_buffers": "128MB",
    # Nobody replicates from here.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # Compiling a plan costs more than the short queries of an API take.
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %u ",
    "password_encryption": "scram-sha-256",
    "unix_socket_permissions": "0700",
}

_ACCESS = """\
# The socket's directory can be entered by its owner alone; over TCP a password is needed.
local all all trust
host all all 127.0.0.1/32 scram-sha-256
"""


def create_cluster(binaries: Binaries, data_dir: Path) -> None:
    """Make `data_dir`/pg, whose superuser is supabase_admin, with checksums on its pages.

    It's made beside its place and moved there, so that a crash leaves no half cluster. Raises PostgresError.
    """
    for interrupted in data_dir.glob("pg.*/"):
        shutil.rmtree(interrupted, ignore_errors=True)
    fresh = data_dir / f"pg.{secrets.token_hex(4)}"
    command = [*binaries.as_unprivileged(data_dir), binaries.initdb, f"--pgdata={fresh}"]
    command += ["--username=supabase_admin", "--auth=trust", "--encoding=UTF8", "--data-checksums"]
    command += binaries.locale_options()
    done = subprocess.run(command, capture_output=True, check=False, env=binaries.environment(), cwd="/")  # noqa: S603 - our own programs
    if done.returncode != 0:
        raise PostgresError(f"initdb failed:\n{done.stderr.decode(errors='replace').strip()}")
    (fresh / "pg_hba.conf").write_text(_ACCESS)
    fresh.rename(data_dir / "pg")
