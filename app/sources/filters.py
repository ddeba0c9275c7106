"""What an import takes and what it leaves out, with a reason for each: the same rules for every source.

Patterns are those of .gitignore, matched against whole paths from the root of what is imported. By default
credentials, virtual environments and other made things stay out: an import can't be undone in a history that
forgets nothing. Pure: no file is looked at, only its path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pathspec import GitIgnoreSpec

from app.errors import VersoError

if TYPE_CHECKING:
    from collections.abc import Iterable

NOT_INCLUDED = "not included"
_EXCLUDED = "excluded by "

DEFAULTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "may hold credentials",
        (
            ".env",
            ".env.*",
            "!.env.example",
            "!.env.sample",
            "!.env.template",
            "!.env.dist",
            "*.pem",
            "*.key",
            "*.p12",
            "*.pfx",
            "*.jks",
            "*.keystore",
            "*.kdbx",
            "*.ppk",
            "id_rsa",
            "id_dsa",
            "id_ecdsa",
            "id_ed25519",
            ".ssh/",
            ".gnupg/",
            ".aws/",
            ".kube/",
            ".azure/",
            ".netrc",
            "_netrc",
            ".pgpass",
            ".npmrc",
            ".pypirc",
            ".htpasswd",
            ".git-credentials",
            "**/.docker/config.json",
            ".vault-token",
            "credentials.json",
            "client_secret*.json",
            "service-account*.json",
            "service_account*.json",
            "secrets.json",
            "secrets.yaml",
            "secrets.yml",
            "secrets.toml",
            "*.tfstate",
            "*.tfstate.*",
            "*.tfvars",
        ),
    ),
    (
        "belongs to a virtual environment",
        (".venv/", "venv/", "virtualenv/", "site-packages/", "pyvenv.cfg", ".conda/", ".direnv/"),
    ),
    (
        "is made by a tool and can be made again",
        (
            "node_modules/",
            "bower_components/",
            "__pycache__/",
            "*.py[co]",
            ".tox/",
            ".nox/",
            ".mypy_cache/",
            ".pytest_cache/",
            ".ruff_cache/",
            ".ipynb_checkpoints/",
            ".gradle/",
            ".terraform/",
            ".DS_Store",
            "._*",
            "__MACOSX/",
            "Thumbs.db",
            "desktop.ini",
        ),
    ),
    (
        "belongs to a version control system",
        (".git", ".hg/", ".svn/", ".bzr/", "CVS/", ".verso/", ".verso-work/", ".verso-export.json"),
    ),
)
"""Each reason and its patterns, in the order in which they apply."""


class Filter:
    """Which paths an import takes.

    `include`: only what one of these names, or everything when there are none. `exclude` is added to the
    defaults; a pattern that begins with ! takes in again what a default leaves out. Raises VersoError
    `bad_pattern`.
    """

    def __init__(
        self, include: Iterable[str] = (), exclude: Iterable[str] = (), *, defaults: bool = True
    ) -> None:
        self.include = tuple(include)
        self.exclude = tuple(exclude)
        self.defaults = defaults
        rules = [(p, reason) for reason, patterns in DEFAULTS for p in patterns] if defaults else []
        rules += [(pattern, _EXCLUDED + pattern) for pattern in self.exclude]
        self._reasons = tuple(reason for _, reason in rules)
        self._excluded = _spec(pattern for pattern, _ in rules)
        self._included = _spec(self.include) if self.include else None

    def verdict(self, path: str, *, is_dir: bool = False) -> str | None:
        """Why a path is left out, or None when it is taken.

        `path` is divided by / and begins at the root. A folder is left out only when everything below it
        is, so that a walk needn't enter it; what is not included says itself, file by file.
        """
        found = self._excluded.check_file(path + "/" if is_dir else path)
        if found.include and found.index is not None:
            return self._reasons[found.index]
        if self._included is None or is_dir:
            return None
        return None if self._included.match_file(path) else NOT_INCLUDED


def _spec(patterns: Iterable[str]) -> GitIgnoreSpec:
    # A blank or a comment would shift the index by which a rule's reason is found.
    asked = list(patterns)
    for pattern in asked:
        if not pattern.strip() or pattern.startswith("#"):
            raise VersoError("bad_pattern", f"{pattern!r} is no pattern. Write them as in a .gitignore file.")
    try:
        return GitIgnoreSpec.from_lines(asked)
    except ValueError as error:
        raise VersoError(
            "bad_pattern", f"{error}. Write patterns as in a .gitignore file.", patterns=asked
        ) from error
