"""The HTML of a difference: whole, safe, and readable without colours."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.text.html import STYLE, STYLE_SOURCE, FileDiff, View, diff_page
from app.text.hunks import diff_hunks
from tests.unit.text.wild import pairs

VOID = {"meta"}
KNOWN = {
    "html",
    "head",
    "title",
    "meta",
    "style",
    "body",
    "main",
    "h1",
    "p",
    "a",
    "details",
    "summary",
    "code",
}
KNOWN |= {"table", "caption", "thead", "tbody", "tr", "th", "td", "span", "ins", "del"}


class Reading(HTMLParser):
    """Checks nesting and collects cells, attributes and text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.marked: dict[str, list[str]] = {"ins": [], "del": []}
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in KNOWN, tag
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"} and self.rows:
            self.rows[-1].append("")
        elif tag in self.marked:
            self.marked[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.text += data
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data
        for element, found in self.marked.items():
            if element in self.open:
                found[-1] += data


def page_of(old: bytes, new: bytes, *, view: View = View.INLINE, path: str = "a.md", context: int = 3) -> str:
    file = FileDiff(old_path=path, new_path=path, diff=diff_hunks(old, new, context=context))
    return diff_page([file], heading=f"Changes of {path}", view=view)


@pytest.mark.parametrize("view", View)
def test_lines_stand_with_their_numbers_and_signs(view: View) -> None:
    rows = Reading(page_of(b"one\ntwo\nthree\n", b"one\n2\nthree\nfour\n", view=view)).rows
    inline = [["1", "1", " ", "one"], ["2", "", "-", "two"], ["", "2", "+", "2"], ["3", "3", " ", "three"]]
    split = [["1", " ", "one"] * 2, ["2", "-", "two", "2", "+", "2"], ["3", " ", "three"] * 2]
    expected = inline if view is View.INLINE else split
    assert rows[2 : 2 + len(expected)] == expected
    assert rows[-1] == (["", "4", "+", "four"] if view is View.INLINE else ["", "", "", "4", "+", "four"])


@pytest.mark.parametrize("view", View)
def test_changed_words_are_elements_of_their_own(view: View) -> None:
    found = Reading(page_of(b"the quick brown fox jumps\n", b"the slow brown fox jumps\n", view=view)).marked
    assert found == {"del": ["quick"], "ins": ["slow"]}


def test_the_page_stands_alone() -> None:
    page = page_of(b"one\n", b"two\n")
    reading = Reading(page)
    assert not any(name in {"src", "style"} or name.startswith("on") for _, at in reading.seen for name in at)
    assert not any(tag in {"script", "link", "img", "iframe", "base"} for tag, _ in reading.seen)
    assert "url(" not in STYLE
    assert "@import" not in STYLE
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'" == STYLE_SOURCE


def test_tables_have_headers_and_a_caption() -> None:
    reading = Reading(page_of(b"one\n", b"two\n"))
    assert [at["scope"] for tag, at in reading.seen if tag == "th"][:4] == ["col"] * 4
    assert reading.rows[0] == ["old line", "new line", "sign", "text"]
    assert "caption" in [tag for tag, _ in reading.seen]
    assert "prefers-color-scheme: dark" in STYLE


@pytest.mark.parametrize("view", View)
def test_no_cell_is_wider_than_the_table(view: View) -> None:
    old = b"".join(b"%d\n" % number for number in range(100))
    reading = Reading(page_of(old, old.replace(b"50\n", b"fifty\n"), view=view))
    widths = {at["colspan"] for tag, at in reading.seen if tag in {"td", "th"} and "colspan" in at}
    assert widths == {str(max(map(len, reading.rows)))}


HOSTILE = (
    "<script>alert(1)</script>",
    "</td></table><img src=x onerror=alert(1)>",
    "</style><style>@import 'x'",
    '" onmouseover="alert(1)',
    "&lt;b&gt; &amp;amp; &#60;",
    "<!-- --> <![CDATA[ ]]> <?php ?>",
    "javascript:alert(1)",
    "{{7*7}} ${7*7}",
)


@pytest.mark.parametrize("view", View)
@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_document_holds_is_text_wherever_it_stands(text: str, view: View) -> None:
    before, after = f"# {text}\n\n\n\n\n{text} a\n", f"# {text}\n\n\n\n\n{text} b\n"
    reading = Reading(page_of(before.encode(), after.encode(), view=view, path=f"{text}.md"))
    assert reading.text.count(text) >= 5


def test_an_address_of_the_next_page_cannot_leave_its_attribute() -> None:
    page = diff_page([], heading="x", following='/v1?a="><script>alert(1)</script>')
    (link,) = [at for tag, at in Reading(page).seen if tag == "a"]
    assert link["href"] == '/v1?a="><script>alert(1)</script>'


@pytest.mark.parametrize(
    "odd",
    [
        "\u202e",
        "\u2066",
        "\u2069",
        "\u200e",
        "\u061c",
        "\u200b",
        "\ufeff",
        "\u2028",
        "\x00",
        "\x1b",
        "\x08",
        "\x85",
    ],
)
def test_what_would_hide_or_reorder_text_is_shown_by_name(odd: str) -> None:
    new = f"if admin{odd} begin\n".encode() + b" " * 8000
    result = diff_hunks(b"", new, text=True)
    page = diff_page([FileDiff(old_path=None, new_path=f"a{odd}b", diff=result)], heading=f"a{odd}b")
    assert odd not in page
    name = {"\x00": "NUL", "\x1b": "ESC"}.get(odd, f"U+{ord(odd):04X}")
    assert Reading(page).text.count(name) >= 4


def test_scripts_and_emoji_stay_as_they_are() -> None:
    text = "naïve 東京 👩‍🚀 שלום می‌خواهم"
    assert text in Reading(page_of(b"", f"{text}\n".encode())).text


def test_what_is_folded_is_counted() -> None:
    old = b"".join(b"%d\n" % number for number in range(100))
    rows = Reading(page_of(old, old.replace(b"50\n", b"fifty\n"))).rows
    assert ["⋯ 47 unchanged line(s)"] in rows
    assert ["⋯ 46 unchanged line(s)"] in rows


@pytest.mark.parametrize("view", View)
def test_unchanged_lines_between_hunks_can_be_unfolded_without_a_script(view: View) -> None:
    old = [b"%d\n" % number for number in range(1, 101)]
    new = [*old[:49], b"fifty\n", b"more\n", *old[50:]]
    page = unfolding(b"".join(old), b"".join(new), view=view)
    reading = Reading(page)
    assert "script" not in {tag for tag, _ in reading.seen}
    text = reading.text
    for told in ("⋯ 46 unchanged line(s)", "⋯ 47 unchanged line(s)"):
        assert told in text
    rows = re.findall(r"<tr[^>]*>(<td class=\"n\">.*?)</tr>", page)
    numbers = [re.findall(r'<td class="n">(\d+)</td>', row) for row in rows if "<td>" in row]
    unchanged = {int(pair[0]): int(pair[1]) for pair in numbers if len(pair) == 2}
    # Every unchanged line is there once, with its number on both sides.
    assert unchanged == {n: n if n < 50 else n + 1 for n in range(1, 101) if n != 50}


def test_a_page_holds_so_many_unchanged_lines_and_counts_the_rest() -> None:
    old = b"".join(b"%d\n" % number for number in range(2_000))
    new = old.replace(b"\n1000\n", b"\nx\n")
    file = FileDiff(old_path="a", new_path="a", diff=diff_hunks(old, new), old=old)
    page = diff_page([file] * 3, heading="a")
    assert page.count("unchanged line(s)</summary>") == 4, "of the first two documents"
    assert page.count("unchanged line(s)</td>") == 2
    lines = b"\n" * 200_000
    file = FileDiff(old_path="a", new_path="a", diff=diff_hunks(lines, lines + b"x"), old=lines)
    assert len(diff_page([file], heading="a")) < 10_000


@pytest.mark.parametrize("view", View)
@pytest.mark.parametrize("text", HOSTILE)
def test_unfolded_lines_are_text_as_well(text: str, view: View) -> None:
    old = f"a\n{text}\n\u202e\n\x1b\r\n{'x' * 50}\n".encode() * 5 + b"\xff"
    reading = Reading(unfolding(old, b"new\n" + old, view=view, context=0))
    assert reading.text.count(text) == (5 if view is View.INLINE else 10)
    assert "\u202e" not in reading.text
    assert "U+202E" in reading.text
    assert "not UTF-8" in reading.text


def unfolding(old: bytes, new: bytes, *, view: View = View.INLINE, context: int = 3) -> str:
    file = FileDiff(old_path="a", new_path="a", diff=diff_hunks(old, new, context=context), old=old)
    return diff_page([file], heading="a", view=view)


def test_a_missing_newline_a_carriage_return_and_damaged_text_are_told() -> None:
    text = Reading(page_of(b"same\n", b"same\r\nend\xff")).text
    for told in ("CR", "no newline at end", "not UTF-8"):
        assert told in text


def test_binary_too_different_and_too_large_are_said_with_sizes() -> None:
    result = diff_hunks(b"\0one", b"\0three")
    text = Reading(diff_page([FileDiff(old_path="a", new_path="a", diff=result)], heading="a")).text
    assert "Binary contents." in text
    digest = hashlib.sha256(b"\0three").hexdigest()
    assert f"6 bytes, SHA-256 {digest}" in text
    many = diff_hunks(b"", b"x\n" * 50, max_lines=10)
    text = Reading(diff_page([FileDiff(old_path="a", new_path="a", diff=many)], heading="a")).text
    assert "Too different" in text
    text = Reading(diff_page([FileDiff(old_path="a", new_path="a", diff=None)], heading="a")).text
    assert "Too large" in text


def test_moves_additions_and_deletions_say_so() -> None:
    same = diff_hunks(b"x", b"x")
    files = [
        FileDiff(old_path="a", new_path="b", diff=same),
        FileDiff(old_path=None, new_path="c", diff=same),
        FileDiff(old_path="d", new_path=None, diff=same),
    ]
    text = Reading(diff_page(files, heading="all")).text
    for told in ("a → b (moved)", "c (added)", "d (deleted)", "The text is the same."):
        assert told in text
    assert "Nothing differs." in Reading(diff_page([], heading="none")).text


@given(pair=pairs(), view=st.sampled_from(View), context=st.integers(0, 5))
def test_any_two_texts_make_a_well_formed_page(pair: tuple[bytes, bytes], view: View, context: int) -> None:
    result = diff_hunks(*pair, text=True, context=context)
    page = diff_page([FileDiff(old_path="a", new_path="a", diff=result, old=pair[0])], heading="a", view=view)
    reading = Reading(page)
    at = 2 if view is View.INLINE else 4
    signs = "".join(row[at] for row in reading.rows[1:] if len(row) == (4 if view is View.INLINE else 6))
    assert signs.count("+") == (result.summary.added if result.summary else 0)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]", page)
