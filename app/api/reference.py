"""The API's reference at /schema: a page made here from the OpenAPI document, without script or third party.

/schema               the page
/schema/openapi.json  the document
/schema/style.css     the page's looks
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any

import msgspec
from litestar.enums import MediaType
from litestar.openapi.plugins import OpenAPIRenderPlugin

from app.api.openapi import complete

if TYPE_CHECKING:
    from litestar import Request

STYLE = """\
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1rem; }
code, pre { font: 14px/1.45 ui-monospace, monospace; }
pre { overflow-x: auto; padding: .75rem; background: var(--soft); border-radius: 6px; }
nav ul { columns: 18rem; padding-left: 1.2rem; }
article { border-top: 1px solid var(--line); padding: 1rem 0; }
h3 { margin: 0; overflow-wrap: anywhere; }
h3 b { display: inline-block; min-width: 4.5rem; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: .25rem .5rem; border-bottom: 1px solid var(--line); }
summary { cursor: pointer; padding: .25rem 0; }
"""


class DocumentPlugin(OpenAPIRenderPlugin):
    """Serves the completed document."""

    def __init__(self) -> None:
        super().__init__(path="/openapi.json", media_type=MediaType.JSON)
        self._made: bytes | None = None

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002
        """The document as JSON, made once."""
        if self._made is None:
            self._made = msgspec.json.encode(complete(openapi_schema))
        return self._made


class PagePlugin(OpenAPIRenderPlugin):
    """Serves the page at the root of /schema."""

    def __init__(self) -> None:
        super().__init__(path="/", media_type=MediaType.HTML)
        self._made: bytes | None = None

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002
        """The page, made once."""
        if self._made is None:
            self._made = reference_page(complete(openapi_schema)).encode()
        return self._made


class StylePlugin(OpenAPIRenderPlugin):
    """Serves the page's stylesheet, so that its policy needs no inline styles."""

    def __init__(self) -> None:
        super().__init__(path="/style.css", media_type=MediaType.CSS)

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002
        """The stylesheet."""
        return STYLE.encode()


def reference_page(document: dict[str, Any]) -> str:
    """The whole reference as one HTML page."""
    by_tag: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            by_tag.setdefault(operation["tags"][0], []).append((method.upper(), path, operation))
    contents = "".join(
        f"<li>{_text(tag)}<ul>"
        + "".join(
            f'<li><a href="#{o["operationId"]}">{_text(o["summary"])}</a></li>' for _, _, o in operations
        )
        + "</ul></li>"
        for tag, operations in by_tag.items()
    )
    sections = "".join(
        f"<section><h2>{_text(tag)}</h2>{''.join(_operation(*each) for each in operations)}</section>"
        for tag, operations in by_tag.items()
    )
    schemas = "".join(
        f'<details id="schema-{_text(name)}"><summary>{_text(name)}</summary>{_json(schema)}</details>'
        for name, schema in sorted(document["components"]["schemas"].items())
    )
    info = document["info"]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Verso API</title>'
        '<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/schema/style.css">'
        f"<h1>{_text(info['title'])} {_text(info['version'])}</h1><p>{_prose(info['description'])}</p>"
        '<p>The same for programs: <a href="/schema/openapi.json">openapi.json</a> (OpenAPI 3.1).</p>'
        f"<nav><ul>{contents}</ul></nav>{sections}<section><h2>schemas</h2>{schemas}</section></html>"
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{_text(each['name'])}</code><td>{_text(each['in'])}"
        f"<td>{'yes' if each.get('required') else ''}<td>{_prose(each.get('description', ''))}"
        for each in operation["parameters"]
    )
    parameters = f"<table><tr><th>name<th>in<th>required<th>meaning{rows}</table>" if rows else ""
    body = "".join(
        f"<details><summary>body: <code>{_text(kind)}</code></summary>{_json(media.get('example'))}</details>"
        for kind, media in operation.get("requestBody", {}).get("content", {}).items()
    )
    answers = "".join(_answer(status, answer) for status, answer in operation["responses"].items())
    return (
        f'<article id="{_text(operation["operationId"])}"><h3><b>{method}</b> <code>{_text(path)}</code></h3>'
        f"<p><strong>{_text(operation['summary'])}.</strong> {_prose(operation['description'])}</p>"
        f"{parameters}{body}{answers}</article>"
    )


def _answer(status: str, answer: dict[str, Any]) -> str:
    shown = "".join(
        f"<p><code>{_text(kind)}</code></p>{_json(media['example'])}"
        for kind, media in answer.get("content", {}).items()
        if "example" in media
    )
    said = f"<b>{status}</b> {_prose(answer['description'])}"
    return f"<details><summary>{said}</summary>{shown}</details>" if shown else f"<p>{said}</p>"


def _json(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.format(msgspec.json.encode(value)).decode()
    return f"<pre>{_text(text)}</pre>"


def _text(value: object) -> str:
    return html.escape(str(value))


def _prose(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", _text(text)).replace("\n\n", "</p><p>")
