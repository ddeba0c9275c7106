"""`verso import …`: what there was before Verso comes in.

One command a source, each in a module of its own that is added at the end of this one.
"""

from __future__ import annotations

import rich_click as click

from app.cli.bundles import import_bundle
from app.cli.import_folder import import_folder
from app.cli.import_git import import_git
from app.cli.import_idse import import_idse


@click.group(name="import")
def importing() -> None:
    """Bring in what there is: a Git history, a folder, an archive."""


importing.add_command(import_git)
importing.add_command(import_bundle)
importing.add_command(import_folder)
importing.add_command(import_idse)
