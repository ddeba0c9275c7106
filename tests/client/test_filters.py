"""What is imported and what stays out, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.client.scan import ignore_patterns
from app.errors import VersoError
from app.sources.filters import DEFAULTS, NOT_INCLUDED, Filter

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (".env", "may hold credentials"),
        ("deploy/.env.production", "may hold credentials"),
        ("deploy/.env.example", None),
        ("keys/id_ed25519", "may hold credentials"),
        ("keys/id_ed25519.pub", None),
        ("home/.ssh/config", "may hold credentials"),
        ("certs/server.pem", "may hold credentials"),
        ("api/.venv/lib/python3.11/os.py", "belongs to a virtual environment"),
        ("api/venv.md", None),
        ("web/node_modules/react/README.md", "is made by a tool and can be made again"),
        ("a/__pycache__/b.cpython-311.pyc", "is made by a tool and can be made again"),
        (".git/config", "belongs to a version control system"),
        ("module/.git", "belongs to a version control system"),
        (".verso-export.json", "belongs to a version control system"),
        (".gitignore", None),
        (".idse/projects/p/state.json", None),
        ("docs/environment.md", None),
    ],
)
def test_credentials_and_environments_stay_out_unless_asked_for(path, reason):
    assert Filter().verdict(path) == reason
    assert Filter(defaults=False).verdict(path) is None


def test_only_what_is_included_is_taken_and_the_rest_says_so():
    chosen = Filter(["docs/**", "*.md"])
    assert chosen.verdict("docs/a/b.png") is None
    assert chosen.verdict("deep/down/README.md") is None
    assert chosen.verdict("src/main.py") == NOT_INCLUDED


def test_including_a_folder_does_not_let_its_credentials_in():
    assert Filter(["deploy/**"]).verdict("deploy/.env") == "may hold credentials"


def test_an_exclusion_is_named_by_its_pattern_and_an_exception_takes_in_again():
    chosen = Filter(exclude=["drafts/", "!.env"])
    assert chosen.verdict("drafts/x.md") == "excluded by drafts/"
    assert chosen.verdict(".env") is None
    assert chosen.verdict(".env.production") == "may hold credentials"


def test_a_folder_is_left_out_as_a_whole_but_never_for_want_of_an_include():
    chosen = Filter(["*.md"])
    assert chosen.verdict("a/.venv", is_dir=True) == "belongs to a virtual environment"
    assert chosen.verdict("a", is_dir=True) is None


@pytest.mark.parametrize("pattern", ["", "  ", "!", "# no"])
def test_what_is_no_pattern_is_refused(pattern):
    with pytest.raises(VersoError, match="bad_pattern"):
        Filter([pattern])


SEGMENT = st.sampled_from(
    [".env", ".venv", "docs", "a.md", "id_rsa", "node_modules", "x", ".git", "site-packages"]
)


@given(st.lists(SEGMENT, min_size=1, max_size=5))
def test_what_lies_in_a_folder_that_is_left_out_is_left_out(segments):
    chosen = Filter()
    *folders, _ = ("/".join(segments[: n + 1]) for n in range(len(segments)))
    if any(chosen.verdict(folder, is_dir=True) for folder in folders):
        assert chosen.verdict("/".join(segments))


def test_every_default_pattern_has_a_reason_of_its_own():
    patterns = [pattern for _, group in DEFAULTS for pattern in group]
    assert len(patterns) == len(set(patterns))
    for reason, group in DEFAULTS:
        for pattern in group:
            if "*" not in pattern.removeprefix("**/") and "[" not in pattern and not pattern.startswith("!"):
                assert (
                    Filter().verdict(
                        "x/" + pattern.removeprefix("**/").rstrip("/"), is_dir=pattern.endswith("/")
                    )
                    == reason
                )


def test_an_ignore_file_from_windows_means_its_first_line_too(tmp_path: Path) -> None:
    (tmp_path / ".versoignore").write_bytes(b"\xef\xbb\xbf*.key\r\n*.tmp\r\n")
    assert ignore_patterns(tmp_path) == ["*.key", "*.tmp"]
