"""The OpenAPI 3.1 document: what Litestar reads from the handlers, and what `described.py` adds.

Every operation says who may ask, every refusal's form with an example for each of its codes, and every
header that means something.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from app.api import (
    described_analytics,
    described_auth,
    described_erasing,
    described_events,
    described_imports,
    described_people,
    described_pipelines,
    described_presence,
    examples,
)
from app.api.auth import SessionState
from app.api.bodies import ChangeBody
from app.api.described import ANSWERED, BINARY, HEADERS, OPERATIONS, Operation
from app.api.history import TreeComparison
from app.api.problems import MEDIA_TYPE, PROBLEMS, problem_body
from app.api.samples import plain, sample_of
from app.errors import VersoError
from app.flows.blame import Blame
from app.flows.compare import Comparison
from app.flows.search import Match
from app.model.imports import Batch
from app.supabase.reviews import Side

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler
    from litestar.types import Method

PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "An error (RFC 9457). What a client needs next, such as `head`, is beside these.",
    "required": ["type", "title", "status", "detail", "code", "request_id"],
    "properties": {
        "type": {"type": "string", "description": "/problems/<code>, which says what it means."},
        "title": {"type": "string", "description": "What the code means."},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What happened here, and what to do next."},
        "code": {"type": "string", "enum": sorted(PROBLEMS)},
        "request_id": {"type": ["string", "null"], "description": "Where to find it in the logs."},
        "head": {"type": ["string", "null"], "description": "The version that is there now."},
        "items": {"type": "array", "description": "Everything that is wrong with a change."},
    },
}
_OPERATIONS = (
    OPERATIONS
    | described_imports.OPERATIONS
    | described_auth.OPERATIONS
    | described_people.OPERATIONS
    | described_pipelines.OPERATIONS
    | described_analytics.OPERATIONS
    | described_erasing.OPERATIONS
    | described_events.OPERATIONS
    | described_presence.OPERATIONS
)
_SIGNED_IN = ("unauthenticated", "forbidden", "supabase_unavailable", "supabase_failed", "database_timeout")
_BY_PARAMETER = {
    "project": "project_not_found",
    "document": "document_not_found",
    "path": "document_not_found",
    "session": "session_not_found",
    "version": "version_not_found",
    "comment": "comment_not_found",
    "report": "report_not_found",
    "agent": "agent_not_found",
    "webhook": "webhook_not_found",
    "invitation": "invitation_not_found",
    "limit": "bad_value",
    "cursor": "bad_cursor",
}
_EXAMPLES = examples.PARAMETERS | described_pipelines.PARAMETERS
_PAGE_OF = re.compile(r"Page_app\.(?:\w+\.)+(\w+)_")
_UNSEEN = [ChangeBody, Batch, SessionState, Blame, Comparison, TreeComparison, Match, Side]
"""Bodies that no signature names. Two are called Side: the one of reviews is known by that name already."""
_OTHER_SIDE = f"{Side.__module__}.{Side.__name__}"
_PUBLIC = ("operations", "sign-in")
_NO_BODY = (204, 304)
_TRY_LATER = (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS)
_NEVER_LIMITED = ("live", "head_live", "ready", "head_ready")


def operation_name(handler: HTTPRouteHandler, method: Method, _path: Any) -> str:
    """The operationId: the handler's name, which is its use case's."""
    name = handler.handler_name
    return f"head_{name.removeprefix('read_')}" if method == "HEAD" else name


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """A copy of the document with everything that signatures don't say."""
    text = msgspec.json.encode(document).decode()
    document = msgspec.json.decode(_PAGE_OF.sub(r"\1Page", text))
    schemas = document["components"]["schemas"]
    _, components = msgspec.json.schema_components(_UNSEEN, ref_template="#/components/schemas/{name}")
    schemas |= {name: each for name, each in components.items() if name not in {*schemas, _OTHER_SIDE}}
    schemas |= {"Match": components["Match"], "Problem": PROBLEM_SCHEMA}  # Litestar sees no array in it
    for name, value in (examples.SCHEMAS | described_pipelines.SCHEMAS | described_presence.SCHEMAS).items():
        if name in schemas:
            schemas[name]["examples"] = [plain(value)]
    for item in document["paths"].values():
        for method, operation in item.items():
            _complete(operation, method=method, schemas=schemas)
    return document


def _complete(operation: dict[str, Any], *, method: str, schemas: dict[str, Any]) -> None:
    extra = _OPERATIONS.get(operation["operationId"], Operation())
    public = operation["tags"][0] in _PUBLIC
    if public:
        operation["security"] = []
    parameters = operation.setdefault("parameters", [])
    for parameter in parameters:
        if parameter["in"] == "path":
            parameter["schema"].pop("format", None)  # Litestar calls a path a URI
            parameter["example"] = _EXAMPLES.get(parameter["name"], "…")
    for name in extra.headers:
        meaning, example = HEADERS[name]
        parameters.append(
            {
                "name": name,
                "in": "header",
                "description": meaning,
                "schema": {"type": "string"},
                "example": example,
            }
        )
    if extra.consumes:
        operation["requestBody"] = {"required": True, "content": extra.consumes}
    body = operation.get("requestBody")
    if body is not None:
        body["description"] = body.get("description", "What to write.")
        body["content"] = {
            kind: _with_example(media, schemas, kind) for kind, media in body["content"].items()
        }
    operation["responses"] = {
        **_successes(operation, extra, method=method, schemas=schemas),
        **_refusals(_codes(operation, extra, method=method, public=public), head=method == "head"),
    }


def _successes(
    operation: dict[str, Any], extra: Operation, *, method: str, schemas: dict[str, Any]
) -> dict[str, Any]:
    usual = next((code, answer) for code, answer in operation["responses"].items() if code < "300")
    content = usual[1].get("content") or {}
    if extra.produces:
        also = {"text/x-diff", "text/csv"} & extra.produces.keys()
        json = {kind: each for kind, each in content.items() if also}
        content = json | extra.produces
    statuses = {int(usual[0]): "Done." if method != "get" else "Found."} | extra.answers
    answers: dict[str, Any] = {}
    pages = any(parameter["name"] == "cursor" for parameter in operation["parameters"])
    for status, meaning in sorted(statuses.items()):
        names = (
            *extra.answered,
            *(["Link"] if pages else []),
            "X-Request-Id",
            *(["Content-Range"] if status == HTTPStatus.PARTIAL_CONTENT else []),
        )
        answer: dict[str, Any] = {
            "description": meaning,
            "headers": {
                name: {"description": ANSWERED[name], "schema": {"type": "string"}} for name in names
            },
        }
        if status not in _NO_BODY and method != "head" and content:
            answer["content"] = {kind: _with_example(each, schemas, kind) for kind, each in content.items()}
        answers[str(status)] = answer
    return answers


def _codes(operation: dict[str, Any], extra: Operation, *, method: str, public: bool) -> set[str]:
    codes = (
        {"internal", "server_stopping", *extra.refuses}
        | (set() if operation["operationId"] in _NEVER_LIMITED else {"too_many_requests"})
        | ({"supabase_unavailable"} if operation["operationId"] in {"ready", "head_ready"} else set())
    )
    names = {parameter["name"] for parameter in operation["parameters"]}
    if operation["parameters"]:
        codes |= {"bad_request"}
    if any(parameter["in"] == "path" for parameter in operation["parameters"]):
        codes |= {"not_found"}  # what is no id is no address
    if not public and method in {"post", "put", "patch", "delete"}:
        codes |= {"cross_site", "csrf_token_needed"}  # of pages, which are signed in by cookies
    if not public:
        codes |= {*_SIGNED_IN, *(code for name, code in _BY_PARAMETER.items() if name in names)}
        addressed = {"project", "document", "version", "comment"} & names
        if method in {"post", "put", "patch", "delete"} and addressed:
            codes |= {"role_too_low", "outside_folders", "project_archived"}
    if operation.get("requestBody") is not None:
        codes |= {"bad_request", "too_large", "bad_media_type", "body_incomplete", "body_timeout"}
        codes |= {"unsupported_encoding"}
        codes |= {"bad_digest", "digest_mismatch"}
        codes |= {"bad_json"} if "application/json" in operation["requestBody"]["content"] else set()
    return codes


def _refusals(codes: set[str], *, head: bool) -> dict[str, Any]:
    by_status: dict[int, list[str]] = {}
    for code in sorted(codes):
        by_status.setdefault(PROBLEMS[code].status, []).append(code)
    return {
        str(status): _refusal(status, codes_of, head=head) for status, codes_of in sorted(by_status.items())
    }


def _refusal(status: int, codes: list[str], *, head: bool) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": "; ".join(f"{code}: {PROBLEMS[code].title}" for code in codes),
        "headers": {
            name: {"description": ANSWERED[name], "schema": {"type": "string"}}
            for name in (
                "X-Request-Id",
                *(["WWW-Authenticate"] if status == HTTPStatus.UNAUTHORIZED else []),
                *(["Retry-After"] if status in _TRY_LATER else []),
            )
        },
    }
    if not head:
        shown = {
            code: {
                "summary": PROBLEMS[code].title,
                "value": problem_body(VersoError(code, f"{PROBLEMS[code].title}."), "0cd70f3be4d033e1"),
            }
            for code in codes
        }
        answer["content"] = {
            MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": shown}
        }
    return answer


def _with_example(media: dict[str, Any], schemas: dict[str, Any], kind: str) -> dict[str, Any]:
    """A media type's entry with an example of its schema."""
    if "example" in media:
        return media
    if media == BINARY["*/*"]:
        return {**media, "example": "# One\n"}
    if kind == "text/x-diff":
        return {**media, "example": examples.PATCH}
    if kind == "multipart/form-data":
        return {**media, "example": {"message": "Two at once", "file": "(the bytes of a file)"}}
    return {**media, "example": sample_of(media["schema"], schemas)} if media["schema"] else media
