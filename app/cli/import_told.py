"""An import's report as people read it: short where all is well, every difference where it isn't."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape

from app.model.modes import EXECUTABLE, SUBMODULE, SYMLINK

if TYPE_CHECKING:
    from rich.console import Console

    from app.sources.git.report import Report

_MOST_LISTED = 15
_MODES: dict[str, str] = {EXECUTABLE: "executable", SYMLINK: "symbolic links", SUBMODULE: "submodules"}


def told(made: Report, console: Console) -> None:
    """Print a report."""
    for line in _lines(made):
        console.print(line)


def _lines(made: Report) -> list[str]:
    where = f"into {made.project}" if made.project else "into an empty project"
    done = "Would import" if made.dry_run else "Imported"
    what = f"{made.source} ({made.branch or 'its main branch'}, {made.tip[:12]})"
    lines = [f"[bold]{done}[/] {escape(what)} {escape(where)}"]
    if not made.commits:
        lines.append(f"Nothing is new: all {made.there_before:,} commits are there.")
    else:
        lines += _counted(made)
    lines += _left_out(made)
    lines += _authors(made)
    lines += _tags(made)
    lines += _proof(made)
    return lines


def _counted(made: Report) -> list[str]:
    actions = ", ".join(f"{count:,} {action}" for action, count in sorted(made.versions.items()))
    earlier = f", {made.there_before:,} were there before" if made.there_before else ""
    skipped = f", {made.skipped_commits:,} skipped" if made.skipped_commits else ""
    sent = "" if made.dry_run else f"; sent {made.contents_sent:,} of {made.bytes_sent:,} bytes"
    all_versions = sum(made.versions.values())
    lines = [
        f"commits    {made.commits:,}{earlier}; {made.merges} merges, {made.empty_commits:,} empty{skipped}",
        f"versions   {all_versions:,} ({actions or 'none'}); {made.taken:,} only go to another branch",
        f"renames    {made.renames:,}; copies {made.copies:,}",
        f"contents   {made.contents:,} of {made.content_bytes:,} bytes; {made.binaries:,} binary{sent}",
    ]
    if made.modes:
        kinds = (f"{count:,} {_MODES.get(mode, mode)}" for mode, count in sorted(made.modes.items()))
        lines.append("modes      " + ", ".join(kinds))
    if made.lfs_pointers:
        lines.append(
            f"Git LFS    {made.lfs_pointers:,} contents only point to a large file that is kept elsewhere"
        )
    if made.dates_adjusted:
        lines.append(
            f"dates      {made.dates_adjusted:,} were before an earlier change's, and were put after it"
        )
    if made.renames_skipped:
        lines.append(
            f"renames were not looked for in {len(made.renames_skipped)} commits that change too much"
        )
    if made.shallow:
        lines.append("[yellow]The clone is shallow: what was before its first commit is not imported.[/]")
    return [*lines, f"time       {made.seconds:,.1f} s"]


def _left_out(made: Report) -> list[str]:
    lines = []
    for title, notes in (("left out", made.left_out), ("has another name or mode here", made.rewritten)):
        if not notes:
            continue
        total = sum(made.reasons[reason] for reason in {note.reason for note in notes})
        lines.append(f"[yellow]{total:,} paths {title}[/]")
        lines += [f"  {escape(note.path)}: {escape(note.reason)}" for note in notes[:_MOST_LISTED]]
        if total > _MOST_LISTED:
            lines.append(f"  … and {total - _MOST_LISTED:,} more (--report FILE lists them)")
    return lines


def _authors(made: Report) -> list[str]:
    unknown = [author for author in made.authors if author.account is None]
    if not made.authors:
        return []
    known = len(made.authors) - len(unknown)
    return [f"authors    {len(made.authors):,}; {known:,} with an account, the others by name and address"]


def _tags(made: Report) -> list[str]:
    if made.tags is None:
        return []
    left = made.tags.left_out
    counts = f"{len(made.tags.made):,} made, {len(made.tags.there):,} were there, {len(left):,} left out"
    lines = [f"tags       {counts}"]
    return lines + [f"  {escape(tag.name)}: {escape(tag.reason)}" for tag in left[:_MOST_LISTED]]


def _proof(made: Report) -> list[str]:
    proof = made.proof
    if proof is None:
        return []
    how = "fetched and hashed" if proof.kind == "full" else "compared by hash"
    lines = [
        f"proof      {proof.commits:,} commits read back; {proof.contents:,} contents {how}",
        f"           {proof.identical:,} trees have Git's own id",
    ]
    if proof.filtered:
        lines.append(f"           {proof.filtered:,} equal Git's without what was left out")
    if proof.differences:
        lines.append(f"[bold red]{len(proof.differences)} differences[/]")
        for each in proof.differences:
            about = f" {each.path}" if each.path else ""
            lines.append(f"  #{each.change} {each.commit}{escape(about)}: {escape(each.what)}")
    return lines
