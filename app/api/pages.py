"""The small pages of signing in: plain HTML, a few words, no scripts, the stylesheet of all pages."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

from litestar import Response

from app.api.cookies import theme_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from litestar import Request
    from litestar.datastructures import Cookie

STATIC = "/static/now"
"""The stylesheet and the icon as they are now: this layer knows no addresses that change with them."""
SIGN = (
    '<svg viewBox="0 0 24 24" width="24" height="24" aria-hidden="true" focusable="false">'
    '<path class="leaf-back" d="M6 3.2h9.2a2 2 0 0 1 2 2V19H8a2 2 0 0 1-2-2z"/>'
    '<path class="leaf" d="M8.6 5.4H18a1.6 1.6 0 0 1 1.6 '
    '1.6v12.2A1.6 1.6 0 0 1 18 20.8h-7.8a1.6 1.6 0 0 1-1.6-1.6z"/>'
    '<path class="fold" d="M13.4 20.8c.2-3 2.2-5.4 6.2-5.6V19a1.8 1.8 0 0 1-1.8 1.8z"/>'
    "</svg>"
)
"""Verso's sign, in the colours of the page."""
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": POLICY,
    # With no-referrer a browser would send `Origin: null` with the page's own forms.
    "Referrer-Policy": "same-origin",
}


def wants_page(request: Request[Any, Any, Any]) -> bool:
    """Whether somebody looks at the answer in a browser."""
    return "text/html" in request.headers.get("accept", "")


def page(
    request: Request[Any, Any, Any],
    title: str,
    *paragraphs: str,
    status: int = 200,
    cookies: Sequence[Cookie] = (),
) -> Response[str]:
    """A page in the browser's colours. `title` is text, `paragraphs` are HTML."""
    body = "".join(f"<p>{each}</p>" if not each.startswith("<form") else each for each in paragraphs)
    theme = theme_of(request)
    chosen = f' data-theme="{theme}"' if theme else ""
    return Response(
        f'<!doctype html><html lang="en"{chosen}><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="{theme or "light dark"}">'
        f'<link rel="icon" href="{STATIC}/verso.svg" type="image/svg+xml">'
        f'<link rel="stylesheet" href="{STATIC}/verso.css">'
        f"<title>{text(title)} · Verso</title></head>"
        f'<body><header class="top"><div class="bar"><a class="brand" href="/">{SIGN}Verso</a></div></header>'
        f'<main class="sign-in"><div class="card"><h1>{text(title)}</h1>{body}</div></main></body></html>',
        status_code=status,
        media_type="text/html",
        headers=dict(HEADERS),
        cookies=list(cookies),
    )


def link(path: str, words: str) -> str:
    """A link within this site."""
    return f'<a class="button primary" href="{text(path)}">{text(words)}</a>'


def form(path: str, button: str, *fields: str, **hidden: str) -> str:
    """A form that is posted to this site. `fields` are HTML, `hidden` are values that go along."""
    carried = "".join(
        f'<input type="hidden" name="{text(name)}" value="{text(value)}">' for name, value in hidden.items()
    )
    return (
        f'<form class="form" method="post" action="{text(path)}">{carried}{"".join(fields)}'
        f'<p><button class="button">{text(button)}</button></p></form>'
    )


def field(name: str, label: str) -> str:
    """A field that is asked for; its kind follows from its name."""
    complete = {"password": "current-password", "email": "username"}.get(name, "off")
    return (
        f'<p class="field"><label>{text(label)} '
        f'<input name="{text(name)}" type="{text(name)}" required maxlength="300" '
        f'autocomplete="{complete}"></label></p>'
    )


def text(value: str) -> str:
    """A value as text of a page or of an attribute."""
    return html.escape(value)
