"""Markdown (CommonMark with tables, strikethrough, footnotes, task lists) to HTML that can do nothing.

Raw HTML in a document is text like all else. What comes out is built by the parser from a fixed set of
elements, and goes through an allow-list once more (nh3, of ammonia): a fault of the parser's would not be
enough. Links that lead into the project lead to its pages; pictures come from the project alone, since one
from elsewhere would tell its owner who reads.
"""

from __future__ import annotations

import html
import posixpath
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

import msgspec
import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.footnote import footnote_plugin
from mdit_py_plugins.front_matter import front_matter_plugin
from mdit_py_plugins.tasklists import tasklists_plugin

from app.text.errors import TookTooLongError

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_BYTES = 1 << 20
"""The longest text that is rendered; what is longer is shown as its source."""
MAX_HTML = 8 * MAX_BYTES
"""The longest HTML in characters: a few words that name one long address again and again make far more."""

_TAGS = {
    *("h1", "h2", "h3", "h4", "h5", "h6", "p", "br", "hr", "blockquote", "pre", "code", "em", "strong", "s"),
    *("ul", "ol", "li", "table", "thead", "tbody", "tr", "th", "td", "a", "img", "div", "span", "sup"),
    *("section", "details", "summary"),
}
_ATTRIBUTES = {
    "a": {"href", "title", "class", "id"},
    "img": {"src", "alt", "title", "loading"},
    "ol": {"start", "class", "dir"},
    "th": {"class"},
    "td": {"class"},
    "code": {"class"},
    "pre": {"class", "tabindex"},
    "div": {"class", "tabindex", "role", "aria-label"},
    "span": {"class", "role", "aria-label"},
    "li": {"class", "id"},
    "ul": {"class", "dir"},
    "sup": {"class"},
    "hr": {"class"},
    "section": {"class"},
    "details": {"class"},
    **{f"h{level}": {"id", "class"} for level in range(1, 7)},
}
_ALIGNED = re.compile(r"text-align:(left|center|right)")


class Places(msgspec.Struct, frozen=True):
    """Where a document's links lead: its folder, and what stands before and after paths of the project."""

    folder: str
    pages: str
    """Before the path of a document's page: /p/demo/files/."""
    contents: str
    """Before the path of a picture: /v1/projects/demo/files/."""
    query: str = ""
    """After both: ?at=12 for a document as it was."""


class Heading(msgspec.Struct, frozen=True):
    """An entry of the contents."""

    level: int
    words: str
    anchor: str


class Rendered(msgspec.Struct, frozen=True):
    """A document's HTML, and its headings in their order."""

    html: str
    headings: tuple[Heading, ...]


def render_markdown(text: str, places: Places) -> Rendered:
    """Render a text. Time grows with its length; call it through `TextWorkers.markdown`.

    Raises TookTooLongError beyond MAX_HTML.
    """
    parser = _parser()
    tokens = parser.parse(text.removeprefix("\ufeff"))
    headings = _mend(tokens, places)
    made = parser.renderer.render(tokens, parser.options, {})
    if len(made) > MAX_HTML:
        raise TookTooLongError("Rendered, the text would be too long.")
    clean = nh3.clean(
        made,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )
    return Rendered(clean, tuple(headings))


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "linkify": True})
    parser.enable(["table", "strikethrough", "linkify"])
    parser.use(front_matter_plugin).use(footnote_plugin).use(tasklists_plugin)
    renderer: Any = parser.renderer
    rules = renderer.rules
    rules["front_matter"] = _front_matter
    rules["table_open"] = lambda *_: (
        '<div class="wide" tabindex="0" role="group" aria-label="Table"><table>\n'
    )
    rules["table_close"] = lambda *_: "</table></div>\n"
    rules["fence"] = rules["code_block"] = _code
    return parser


def _front_matter(tokens: Sequence[Token], index: int, *_: Any) -> str:
    return (
        '<details class="front-matter"><summary>Front matter</summary>'
        f'<pre tabindex="0">{html.escape(tokens[index].content)}</pre></details>\n'
    )


def _code(tokens: Sequence[Token], index: int, *_: Any) -> str:
    token = tokens[index]
    language = token.info.split()[0] if token.info.strip() else ""
    named = f' class="language-{html.escape(language)}"' if language else ""
    return f'<pre tabindex="0"><code{named}>{html.escape(token.content)}</code></pre>\n'


def _mend(tokens: Sequence[Token], places: Places) -> list[Heading]:
    """Lead links and pictures where they belong; give headings their anchors and a level below the page's."""
    headings: list[Heading] = []
    used: dict[str, int] = {}
    above: list[int] = []
    for index, token in enumerate(tokens):
        style = str(token.attrs.pop("style", ""))
        if aligned := _ALIGNED.fullmatch(style):
            token.attrSet("class", f"to-{aligned[1]}")
        if token.type == "inline":
            token.children = _inline(token.children or [], places)
        elif token.type in {"bullet_list_open", "ordered_list_open"}:
            token.attrSet("dir", "auto")  # its marks stand where its words begin, from the right in Arabic
        elif token.type == "heading_open":
            level = int(token.tag[1])
            while above and above[-1] >= level:
                above.pop()
            above.append(level)
            words = "".join(_said(each) for each in tokens[index + 1].children or [])
            anchor = _anchor(words, used)
            # The page's own title is the first; a level that was left out would be one too many to hear.
            token.tag = tokens[index + 2].tag = f"h{min(len(above) + 1, 6)}"
            token.attrSet("id", anchor)
            token.attrSet("class", f"as-{level}")
            if words.strip():  # a link with no words leads nobody anywhere
                headings.append(Heading(len(above), words, anchor))
    return headings


def _said(token: Token) -> str:
    return " " if token.type in {"softbreak", "hardbreak"} else token.content


def _anchor(words: str, used: dict[str, int]) -> str:
    """An anchor as GitHub makes them, since links in documents are written for those; each only once."""
    slug = re.sub(r"[^\w\- ]", "", words.strip().lower()).replace(" ", "-") or "section"
    anchor = slug
    while anchor in used:
        used[slug] += 1
        anchor = f"{slug}-{used[slug]}"
    used[anchor] = 0
    return f"h-{anchor}"


def _inline(children: Sequence[Token], places: Places) -> list[Token]:
    mended: list[Token] = []
    in_link = False
    for token in children:
        if token.type == "link_open":
            in_link = True
            token.attrSet("href", _link(str(token.attrGet("href") or ""), places))
        elif token.type == "link_close":
            in_link = False
        elif token.type == "image":
            mended += _picture(token, places, in_link=in_link)
            continue
        elif token.type == "html_inline":  # of our plugin for tasks: raw HTML is off
            done = "checked" in token.content
            words, sign = ("done", "☑") if done else ("to do", "☐")
            token.content = f'<span class="task" role="img" aria-label="{words}">{sign}</span>'
        mended.append(token)
    return mended


def _picture(token: Token, places: Places, *, in_link: bool) -> list[Token]:
    source = str(token.attrGet("src") or "")
    path = _inside(source, places)
    if path is not None:
        token.attrSet("src", f"{places.contents}{quote(path, safe='/')}{places.query}")
        token.attrSet("loading", "lazy")
        return [token]
    opening = Token("link_open", "a", 1, attrs={"href": source, "class": "outside"})
    words = Token("text", "", 0, content=f"Picture elsewhere: {token.content or source}")
    # A badge is a picture in a link: no link can be in another, and its own is the one that was written.
    return [words] if in_link else [opening, words, Token("link_close", "a", -1)]


def _link(href: str, places: Places) -> str:
    if href.startswith("#"):
        anchor = unquote(href[1:])
        return href if re.fullmatch(r"fn(ref)?\d+(:\d+)?", anchor) else f"#h-{quote(anchor.lower())}"
    path = _inside(href, places)
    if path is None:
        return href
    fragment = urlsplit(href).fragment
    anchor = f"#h-{quote(unquote(fragment).lower())}" if fragment else ""
    return f"{places.pages}{quote(path, safe='/')}{places.query}{anchor}"


def _inside(address: str, places: Places) -> str | None:
    """The path in the project that a relative address means; None when it leads out."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    if parts.scheme or parts.netloc or not parts.path:
        return None
    wanted = unquote(parts.path)
    base = "" if wanted.startswith("/") else places.folder
    path = posixpath.normpath(posixpath.join("/", base, wanted.lstrip("/"))).lstrip("/")
    return path or None
