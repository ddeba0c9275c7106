"""`verso export …`: a project goes out, whole.

One command a form, each in a module of its own that is added at the end of this one.
"""

from __future__ import annotations

import rich_click as click


@click.group(name="export")
def exporting() -> None:
    """Take a project out: as a Git repository, a folder, or one file with everything."""
