"""Shell completion: `verso completion bash`, and the paths and projects that are offered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click
from click.shell_completion import CompletionItem, get_completion_class

if TYPE_CHECKING:
    from collections.abc import Iterator

SHELLS = ("bash", "zsh", "fish", "powershell")
MOST = 500
_VARIABLE = "_VERSO_COMPLETE"
_POWERSHELL = """\
Register-ArgumentCompleter -Native -CommandName verso -ScriptBlock {
    param($word, $ast, $cursor)
    $words = @($ast.CommandElements | ForEach-Object { $_.ToString() })
    $env:_VERSO_COMPLETE = 'fish_complete'
    $env:COMP_WORDS = $words -join ' '
    $env:COMP_CWORD = $word
    try {
        verso 2>$null | ForEach-Object {
            $value = (($_ -split ',', 2)[1] -split "`t", 2)[0]
            [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $value)
        }
    } finally {
        Remove-Item Env:_VERSO_COMPLETE, Env:COMP_WORDS, Env:COMP_CWORD
    }
}
"""


class DocumentPath(click.ParamType[str]):
    """A document's path: those of the mirror are offered."""

    name = "path"

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - the base class has it
        param: click.Parameter,  # noqa: ARG002 - the base class has it
        incomplete: str,
    ) -> list[CompletionItem]:
        """Paths that begin so, folder by folder as shells do it."""
        try:
            found = list(_paths(incomplete))
        except Exception:  # noqa: BLE001 - a completion never prints a trace into somebody's line
            return []
        return [CompletionItem(path) for path in found[:MOST]]


class ProjectName(click.ParamType[str]):
    """A project: the account's own are offered."""

    name = "project"

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - the base class has it
        param: click.Parameter,  # noqa: ARG002 - the base class has it
        incomplete: str,
    ) -> list[CompletionItem]:
        """Slugs that begin so, of the account's projects; none when the server can't be asked."""
        try:
            found = _projects()
        except Exception:  # noqa: BLE001 - as above
            return []
        return [CompletionItem(slug) for slug in found if slug.startswith(incomplete)][:MOST]


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    r"""Print what a shell needs to complete commands, options, paths and projects.

    \b
    bash:        eval "$(verso completion bash)"            in ~/.bashrc
    zsh:         eval "$(verso completion zsh)"             in ~/.zshrc
    fish:        verso completion fish | source             in ~/.config/fish/config.fish
    powershell:  verso completion powershell | Out-String | Invoke-Expression    in $PROFILE
    """
    if shell == "powershell":
        click.echo(_POWERSHELL, nl=False)
        return
    root: Any = context.find_root().command
    kind = get_completion_class(shell)
    if kind is not None:
        click.echo(kind(root, {}, "verso", _VARIABLE).source())


def _paths(incomplete: str) -> Iterator[str]:
    """Paths as they are typed: relative to where one is."""
    from app.client.looking.source import project_path
    from app.client.mirror import Mirror
    from app.client.place import find_place

    place = find_place(Path.cwd())
    if place is None:
        return
    folder = incomplete.rpartition("/")[0]
    inside = project_path(folder or ".", place=place, cwd=Path.cwd())
    typed, prefix = (f"{folder}/" if folder else ""), (f"{inside}/" if inside else "")
    with Mirror(place.hidden) as mirror:
        names = {
            rest.partition("/")[0] + ("/" if "/" in rest else "")
            for path in mirror.tree()
            if path.startswith(prefix) and (rest := path.removeprefix(prefix))
        }
    yield from (found for name in sorted(names) if (found := f"{typed}{name}").startswith(incomplete))


def _projects() -> list[str]:
    from app.cli.reaching import connect
    from app.client.login import Me

    with connect(None) as api:
        return sorted(each.slug for each in api.get("/v1/me", kind=Me).projects)
