"""The findings: coloured lines for people, JSON for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
from rich.markup import escape
from rich.table import Table

from app.cli.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.cli.doctor.examination import Finding
    from app.settings import Settings

MARKS = {
    "passed": "[green]✓[/]",
    "warned": "[bold yellow]![/]",
    "failed": "[bold red]✗[/]",
    "skipped": "[yellow]-[/]",
}


def as_json_text(settings: Settings, findings: Sequence[Finding]) -> str:
    """The findings as one JSON object."""
    value = {
        "ok": not any(finding.state == "failed" for finding in findings),
        "supabase_url": settings.supabase_url,
        "findings": [msgspec.to_builtins(finding) for finding in findings],
    }
    return json.dumps(value, indent=2, ensure_ascii=False)


def print_report(settings: Settings, findings: Sequence[Finding]) -> None:
    """Print the findings, each failure and warning with its fix, and a closing sentence."""
    console = Terminal(highlight=False)
    console.print(f"Examining [bold]{escape(settings.supabase_url)}[/]\n")
    table = Table.grid(padding=(0, 1))
    for finding in findings:
        table.add_row(MARKS[finding.state], finding.check, escape(finding.sentence))
        if finding.fix:
            table.add_row("", "", f"[bold]To fix it:[/] {escape(finding.fix)}")
    console.print(table)
    failed = sum(finding.state == "failed" for finding in findings)
    warned = sum(finding.state == "warned" for finding in findings)
    skipped = sum(finding.state == "skipped" for finding in findings)
    if failed:
        console.print(f"\n[bold red]{failed} of {len(findings)} checks failed.[/] Begin with the first.")
    elif warned:
        console.print(f"\n[bold yellow]No check failed; {warned} of {len(findings)} warn.[/]")
    elif skipped:
        console.print(f"\n[green]No check failed;[/] {skipped} of {len(findings)} were skipped.")
    else:
        console.print(f"\n[green]All {len(findings)} checks passed.[/]")
