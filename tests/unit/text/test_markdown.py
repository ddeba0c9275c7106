"""Markdown to HTML that can do nothing: what is rendered, where it leads, and what never comes out."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.text.bounded import TextWorkers
from app.text.errors import TookTooLongError
from app.text.markdown import Places, render_markdown

PLACES = Places(folder="docs/drafts", pages="/p/x/files/", contents="/v1/projects/x/files/", query="?at=7")
TAGS = {
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "p",
    "br",
    "hr",
    "blockquote",
    "pre",
    "code",
    "em",
    "strong",
    "s",
    "ul",
    "ol",
    "li",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "a",
    "img",
    "div",
    "span",
    "sup",
    "section",
    "details",
    "summary",
}
ATTRIBUTES = {
    "dir",
    "href",
    "src",
    "alt",
    "title",
    "class",
    "id",
    "rel",
    "start",
    "tabindex",
    "role",
    "aria-label",
    "loading",
}


def html(text: str) -> str:
    return render_markdown(text, PLACES).html


class Everything(HTMLParser):
    """All elements and attributes of a piece of HTML."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.addresses: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name in {"href", "src"}:
                self.addresses.add(value or "")


@pytest.mark.parametrize(
    ("written", "leads_to"),
    [
        ("[a](b.md)", "/p/x/files/docs/drafts/b.md?at=7"),
        ("[a](../b%20c.md#Why)", "/p/x/files/docs/b%20c.md?at=7#h-why"),
        ("[a](/top.md)", "/p/x/files/top.md?at=7"),
        ("[a](../../../../outside.md)", "/p/x/files/outside.md?at=7"),
        ("[a](#Part-one)", "#h-part-one"),
        ("[a](https://example.com/?q=1)", "https://example.com/?q=1"),
        ("[a](//example.com/b)", "//example.com/b"),
        ("[a](mailto:a@example.com)", "mailto:a@example.com"),
        ("![a](b.png)", "/v1/projects/x/files/docs/drafts/b.png?at=7"),
        ("![a](https://example.com/b.png)", "https://example.com/b.png"),
    ],
)
def test_links_lead_into_the_project_or_out_of_it(written: str, leads_to: str) -> None:
    assert Everything(html(written)).addresses == {leads_to}


@pytest.mark.parametrize(
    "written",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<svg/onload=alert(1)>",
        "[a](javascript:alert(1))",
        "[a](JaVaScRiPt:alert(1))",
        "[a](data:text/html,<script>alert(1)</script>)",
        "![a](javascript:alert(1))",
        "<javascript:alert(1)>",
        "[a]: javascript:alert(1)\n\n[a]",
        '[a](x "onmouseover=alert(1)")',
        "```html onload=alert(1)\n<b>\n```",
        "---\n<script>alert(1)</script>\n---\n",
        "| <style>* { display: none }</style> |\n|---|\n",
        "[^<script>]: x\n\n[^<script>]",
        "# <a name=x id=csrf_token>\n",
        "<!-- --><iframe srcdoc='<script>alert(1)</script>'>",
    ],
)
def test_nothing_that_runs_comes_out(written: str) -> None:
    found = Everything(html(written))
    assert found.tags <= TAGS
    assert found.attributes <= ATTRIBUTES
    assert not [each for each in found.addresses if re.match(r"(?i)\s*(javascript|data|vbscript):", each)]


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=st.sampled_from("<>\"'`&#[]()!*_-|:/\\ \n\tabjs=%;^~+1x\u202e"), max_size=120))
def test_no_text_makes_other_elements_or_addresses(text: str) -> None:
    found = Everything(html(f'{text}\n[a]({text}) ![b]({text}) <a href="{text}">'))
    assert found.tags <= TAGS
    assert found.attributes <= ATTRIBUTES
    assert not [each for each in found.addresses if re.match(r"(?i)\s*(javascript|data|vbscript):", each)]


def test_headings_stand_below_the_page_s_own_and_skip_no_level() -> None:
    made = render_markdown("# A\n\n#### B\n\n## A\n\n# C & *d*\n", PLACES)
    assert re.findall(r"<(h\d) (?:id|class)", made.html) == ["h2", "h3", "h3", "h2"]
    assert [(each.level, each.words, each.anchor) for each in made.headings] == [
        (1, "A", "h-a"),
        (2, "B", "h-b"),
        (2, "A", "h-a-1"),
        (1, "C & d", "h-c--d"),
    ]


def test_links_to_headings_land_as_they_do_where_they_were_written_for() -> None:
    made = render_markdown(
        "# What's *new*?\n\n# A\n\n# A\n\n# A 1\n\nTwo\nlines\n===\n\n#\n\n[a](#whats-new)\n", PLACES
    )
    anchors = re.findall(r' id="([^"]*)"', made.html)
    assert anchors == ["h-whats-new", "h-a", "h-a-1", "h-a-1-1", "h-two-lines", "h-section"]
    assert Everything(made.html).addresses == {"#h-whats-new"}
    assert [each.words for each in made.headings] == ["What's new?", "A", "A", "A 1", "Two lines"]


def test_a_picture_from_elsewhere_in_a_link_leaves_the_link_its_own() -> None:
    made = html("[![Build](https://example.com/badge.svg)](https://example.com/builds)")
    assert Everything(made).addresses == {"https://example.com/builds"}
    assert re.search(r"<a [^>]*>Picture elsewhere: Build</a>", made)


def test_a_byte_order_mark_hides_no_heading() -> None:
    assert render_markdown("\ufeff# A\n", PLACES).headings[0].words == "A"


def test_tasks_tables_and_front_matter() -> None:
    made = html("---\na: 1\n---\n- [x] done\n- [ ] open\n\n| a |\n|--:|\n| 1 |\n")
    assert 'aria-label="done"' in made
    assert 'aria-label="to do"' in made
    assert "<input" not in made
    assert 'class="to-right"' in made
    assert "<summary>Front matter</summary>" in made


async def test_a_text_that_would_become_very_much_longer_is_not_rendered() -> None:
    text = f"[a]: http://example.com/{'x' * 100_000}\n\n{'[a] ' * 90}"
    async with TextWorkers(workers=1) as workers:
        with pytest.raises(TookTooLongError, match="too long"):
            await workers.markdown(text, PLACES)


async def test_a_text_that_takes_too_long_ends_and_keeps_nobody_waiting() -> None:
    text = "[" * 30_000 + "a" + "](b" * 30_000
    async with TextWorkers(workers=1) as workers:
        began = time.monotonic()
        with pytest.raises(TookTooLongError):
            await workers.markdown(text * 8, PLACES, deadline_s=0.5)
        assert time.monotonic() - began < 10
        assert "<em>b</em>" in (await workers.markdown("*b*", PLACES)).html


def test_a_list_runs_the_way_its_words_do():
    made = render_markdown("- \u0645\u0631\u062d\u0628\u0627\n\n1. one\n", PLACES).html
    assert '<ul dir="auto">' in made
    assert '<ol dir="auto">' in made
