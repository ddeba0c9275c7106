"""`verso export …`: a project goes out, whole.

One command a form, each in a module of its own that is added at the end of this one.
"""

from __future__ import annotations

import rich_click as click

from app.cli.bundles import export_bundle
from app.cli.exporting_folder import export_folder_command
from app.cli.exporting_git import export_git_command


@click.group(name="export")
def exporting() -> None:
    """Take a project out: as a Git repository, a folder, or one file with everything."""


exporting.add_command(export_git_command)
exporting.add_command(export_bundle)
exporting.add_command(export_folder_command)
