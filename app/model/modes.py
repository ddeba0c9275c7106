"""What a document is besides its bytes, in Git's numbers: an ordinary file where nothing else is said."""

from __future__ import annotations

from typing import Literal

Mode = Literal["100644", "100755", "120000", "160000"]

ORDINARY: Mode = "100644"
EXECUTABLE: Mode = "100755"
SYMLINK: Mode = "120000"
"""Its bytes are the target."""
SUBMODULE: Mode = "160000"
"""Its bytes are the commit's id in hex."""
