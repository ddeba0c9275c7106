"""Errors as problem documents (RFC 9457), and the one table from error code to HTTP status.

`type` is /problems/<code>, which this service also serves; `title` is the code's meaning, `detail` the
sentence for this case. What a client needs next (`head`, `items`, `sha256`, …) are extension members.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import structlog
from litestar import Request, Response, get
from litestar.exceptions import HTTPException
from litestar.params import FromPath

from app.api.bodies import too_large
from app.api.witness import note_refusal
from app.api.wrong_values import as_sent
from app.errors import VersoError
from app.text.errors import WorkersBusyError

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 2


class Problem(NamedTuple):
    """What a code means, whoever raises it."""

    status: int
    title: str


PROBLEMS = {
    # who
    "unauthenticated": Problem(401, "No valid access token"),
    "session_ended": Problem(401, "The session has ended"),
    "sign_in_stale": Problem(400, "The sign-in is over"),
    "sign_in_refused": Problem(403, "Nobody was signed in"),
    "cross_site": Problem(403, "Not from a page of this site"),
    "csrf_token_needed": Problem(403, "The page did not say its token"),
    "no_public_url": Problem(503, "The service does not know its address"),
    "too_many_requests": Problem(429, "Asked too often"),
    "too_many_streams": Problem(429, "Too many streams of events"),
    "presence_full": Problem(429, "Too many tabs and programs are present"),
    "forbidden": Problem(403, "Refused for this account"),
    "role_too_low": Problem(403, "Needs a higher role in the project"),
    "outside_folders": Problem(403, "Outside the folders that you may write"),
    "own_version": Problem(403, "Nobody approves what they wrote themselves"),
    "not_the_author": Problem(403, "Only its author may do that"),
    "bridge_read_only": Problem(403, "Old tokens only read"),
    "no_profile": Problem(403, "The account has no profile"),
    "agent_bound": Problem(403, "Agents stay in their project"),
    "not_an_agent": Problem(403, "Not made to be an agent of this project"),
    # what isn't there
    "not_found": Problem(404, "Nothing at this address"),
    "project_not_found": Problem(404, "No such project, or not yours"),
    "document_not_found": Problem(404, "No such document, or not yours"),
    "document_deleted": Problem(404, "The document is deleted"),
    "document_moved": Problem(404, "The document has moved"),
    "already_deleted": Problem(404, "The document is deleted already"),
    "version_not_found": Problem(404, "No such version"),
    "version_is_delete": Problem(404, "A delete has no content"),
    "bad_period": Problem(422, "Not a period"),
    "period_too_long": Problem(422, "More groups than an answer holds"),
    "change_not_found": Problem(404, "No such change"),
    "point_not_found": Problem(404, "No such point in history"),
    "part_not_found": Problem(404, "A project has no such part"),
    "restore_not_found": Problem(404, "The attempt to restore is over"),
    "restore_diverged": Problem(409, "The project here went another way than the bundle"),
    "bundle_mismatch": Problem(422, "The bundle is not what it says"),
    "content_not_found": Problem(404, "No version of the project has that content"),
    "session_not_found": Problem(404, "No such session"),
    "person_not_found": Problem(404, "No such person"),
    "member_not_found": Problem(404, "No such member"),
    "invitation_not_found": Problem(404, "No such invitation, or not for you"),
    "invitation_over": Problem(410, "The invitation has ended"),
    "agent_not_found": Problem(404, "No such agent"),
    "comment_not_found": Problem(404, "No such comment, or not yours"),
    "report_not_found": Problem(404, "No such stage report, or not yours"),
    "content_erased": Problem(410, "The bytes were erased"),
    "erased": Problem(410, "The bytes were erased"),
    "erasure_not_found": Problem(404, "No such erasure"),
    "erasure_unconfirmed": Problem(422, "Erasing is confirmed by the content's hash"),
    "bad_erasure": Problem(422, "Not something that can be erased"),
    # meeting others
    "base_required": Problem(428, "Say which version this is based on"),
    "stale_base": Problem(412, "Someone wrote a newer version"),
    "precondition_failed": Problem(412, "The precondition does not hold"),
    "stage_moved": Problem(412, "Somebody reported of the stage since"),
    "already_exists": Problem(412, "A document is there already"),
    "merge_conflict": Problem(409, "Both sides changed the same place"),
    "merge_impossible": Problem(409, "These contents cannot be merged by lines"),
    "path_taken": Problem(409, "The path is taken"),
    "idempotency_key_reused": Problem(409, "The Idempotency-Key was used for something else"),
    "nothing_to_restore": Problem(409, "The version has no content to restore"),
    "project_archived": Problem(403, "The project is archived"),
    "last_owner": Problem(409, "A project keeps an owner"),
    "already_member": Problem(409, "They are a member already"),
    "too_many_invitations": Problem(409, "Too many open invitations"),
    "agent_exists": Problem(409, "The project has an agent of that name"),
    "agent_revoked": Problem(409, "The agent was revoked"),
    "agent_altered": Problem(409, "The agent's account has another way in"),
    "no_secret_key": Problem(409, "An operator makes accounts here"),
    "handle_taken": Problem(409, "The handle is somebody else's"),
    "slug_taken": Problem(409, "The slug is taken"),
    "session_exists": Problem(409, "The session exists"),
    "tag_exists": Problem(409, "The tag exists, and tags don't move"),
    "approval_needed": Problem(409, "The project's rules ask for an approval first"),
    "bad_transition": Problem(409, "A stage cannot become that from what it is"),
    "document_needed": Problem(409, "The project's rules ask for the stage's document first"),
    "validation_needed": Problem(409, "The project's rules ask for a clean validation first"),
    "import_stale": Problem(409, "The import has moved on"),
    "import_diverged": Problem(409, "The project was written to after the import"),
    "import_conflict": Problem(409, "The commit was imported otherwise"),
    "nothing_to_tag": Problem(409, "There is nothing to tag yet"),
    "blueprint_has_features": Problem(409, "Features depend on this blueprint"),
    "broken_chain": Problem(409, "The history cannot go on like this"),
    "immutable": Problem(403, "History does not change"),
    # what was sent
    "bad_request": Problem(400, "The request is not well formed"),
    "bad_json": Problem(400, "The JSON is not what it must be"),
    "bad_multipart": Problem(400, "The multipart body is not what it must be"),
    "bundle_unreadable": Problem(422, "The bundle can't be read"),
    "import_stopped": Problem(503, "The import takes too long"),
    "imports_busy": Problem(503, "Others are importing just now"),
    "archive_refused": Problem(422, "The archive can't be taken as it is"),
    "bad_pattern": Problem(422, "That is no pattern"),
    "file_changed": Problem(409, "A file was written to while it was read"),
    "source_unreadable": Problem(422, "The archive can't be read"),
    "bad_condition": Problem(400, "The precondition is not usable"),
    "bad_cursor": Problem(400, "The cursor is not one of ours"),
    "bad_digest": Problem(400, "The digest field is not well formed"),
    "digest_mismatch": Problem(400, "The bytes are not those of the digest"),
    "body_incomplete": Problem(400, "The body ended early"),
    "body_timeout": Problem(408, "The body did not arrive in time"),
    "too_large": Problem(413, "Too large"),
    "too_many_files": Problem(413, "Too many files in one change"),
    "bad_media_type": Problem(415, "Not a media type"),
    "unsupported_encoding": Problem(415, "The content encoding is not supported"),
    "range_not_satisfiable": Problem(416, "No such range"),
    "bad_folders": Problem(422, "Not a list of folders"),
    "bad_path": Problem(422, "The path cannot be a document's path"),
    "bad_point": Problem(422, "Not a point in history"),
    "bad_change": Problem(422, "The change is not well formed"),
    "bad_item": Problem(422, "An item of the change is not well formed"),
    "bad_import": Problem(422, "The import is not well formed"),
    "bad_origin": Problem(422, "Not the Git object that it is said to be"),
    "bad_invitee": Problem(422, "Nobody can be invited by that"),
    "webhook_not_found": Problem(404, "The project has no such webhook"),
    "too_many_webhooks": Problem(409, "The project has too many webhooks"),
    "replay_pending": Problem(409, "Events are being sent once more already"),
    "bad_webhook": Problem(422, "Not what a webhook can be"),
    "bad_agent": Problem(422, "Not what an agent can be"),
    "bad_tag_name": Problem(422, "The name cannot be a tag's"),
    "bad_value": Problem(422, "A value is not allowed"),
    "document_twice": Problem(422, "One change writes a document once"),
    "no_content": Problem(422, "The item has no content"),
    "message_too_long": Problem(422, "The message is too long"),
    "comment_empty": Problem(422, "The comment says nothing"),
    "comment_too_long": Problem(422, "The comment is too long"),
    "bad_lines": Problem(422, "Not lines of this version"),
    "parent_rule": Problem(422, "The session's parent does not fit its type"),
    "parent_not_blueprint": Problem(422, "The parent is no blueprint session"),
    "patch_unreadable": Problem(422, "Not a patch that can be read"),
    "patch_rejected": Problem(409, "The patch does not apply"),
    "diff_too_large": Problem(422, "Too large or too different to compare"),
    "bad_attribution": Problem(422, "The attribution cannot be this version's"),
    "bad_query": Problem(422, "Nothing to search for"),
    "bad_text": Problem(422, "The text is not that of its hash"),
    "history_too_long": Problem(422, "Too many versions to go through at once"),
    "blame_too_long": Problem(422, "Too many versions without attribution"),
    "blame_unfinished": Problem(503, "Ask again: blame goes on from where it is"),
    "client_left": Problem(499, "The client left before the answer"),
    "not_acceptable": Problem(406, "Not available in that form"),
    "method_not_allowed": Problem(405, "Not a method of this address"),
    # what is behind
    "content_altered": Problem(502, "The stored bytes were altered"),
    "content_missing": Problem(502, "The stored bytes are missing"),
    "blob_missing": Problem(502, "Storage lost the upload"),
    "blob_altered": Problem(502, "Storage altered the upload"),
    "blob_unproven": Problem(502, "Storage cannot prove the upload"),
    "storage_failed": Problem(502, "Storage failed"),
    "storage_unavailable": Problem(503, "Storage is not available"),
    "supabase_failed": Problem(502, "Supabase failed"),
    "supabase_unavailable": Problem(503, "Supabase is not available"),
    "account_refused": Problem(502, "Supabase Auth refused it"),
    "schema_missing": Problem(503, "The database lacks Verso's schema"),
    "workers_busy": Problem(503, "Too many texts are being compared"),
    "database_timeout": Problem(503, "The database took too long"),
    "git_busy": Problem(503, "The project's repository is being brought up to date"),
    "git_damaged": Problem(502, "The project's repository was damaged"),
    "git_read_only": Problem(403, "Git reads here, and writes nowhere"),
    "server_stopping": Problem(503, "The server is stopping"),
    "disk_full": Problem(507, "The server's disk is full"),
    "internal": Problem(500, "A fault in Verso"),
}

_REFUSED_BY_LITESTAR = {
    400: ("bad_request", "The request is not well formed: {detail}."),
    401: ("unauthenticated", "Send an access token of Supabase Auth as `Authorization: Bearer <token>`."),
    403: ("forbidden", "This is refused for your account."),
    404: ("not_found", "There is nothing at this address. GET /schema lists what there is."),
    405: ("method_not_allowed", "This address does not take that method. GET /schema lists what it takes."),
    406: ("not_acceptable", "This is not available in a form that the request accepts."),
    415: ("bad_media_type", "The body is not of a type that this address takes: send application/json."),
}
"""What Litestar refuses before a handler is reached, in our words."""
_CLIENT_GONE = "client disconnected prematurely"
"""How Litestar words a body that broke off; it raises it as a fault of the server's."""
_TOO_DEEP = "maximum recursion depth exceeded while deserializing an object"
"""How msgspec words it, with a RecursionError: for Litestar no refusal of what was sent."""


def problem_body(error: VersoError, request_id: str | None) -> dict[str, Any]:
    """The problem document of an error; an unknown code is a fault of ours."""
    problem = PROBLEMS.get(error.code, PROBLEMS["internal"])
    body: dict[str, Any] = {
        "type": f"/problems/{error.code}",
        "title": problem.title,
        "status": problem.status,
        "detail": error.sentence,
        "code": error.code,
        "request_id": request_id,
    }
    return body | {name: value for name, value in error.detail.items() if name not in body}


def on_verso_error(request: Request[Any, Any, Any], error: VersoError) -> Response[dict[str, Any]]:
    """Shape a refusal or failure."""
    note_refusal(request, error)
    request_id: Any = request.scope.get("verso_request_id")
    body = problem_body(error, request_id)
    status = body["status"]
    headers = {"Cache-Control": "no-store"}
    if status == 401:  # noqa: PLR2004
        # RFC 6750, 3: a token that was sent and refused is told apart from none.
        refused = ', error="invalid_token"' if "authorization" in request.headers else ""
        headers["WWW-Authenticate"] = f'Bearer realm="verso"{refused}'
    elif status in {429, 503}:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    elif status == 408:  # noqa: PLR2004
        headers["Connection"] = "close"  # RFC 9110, 15.5.9: whatever still comes is not wanted
    elif error.code == "range_not_satisfiable":
        headers["Content-Range"] = f"bytes */{error.detail['size']}"
    elif error.code == "unsupported_encoding":
        headers["Accept-Encoding"] = error.detail["accepted"]  # RFC 9110, 15.5.16
    return Response(body, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def on_busy(request: Request[Any, Any, Any], error: WorkersBusyError) -> Response[dict[str, Any]]:
    """Shape the refusal of the workers for texts, whichever use case asked them."""
    return on_verso_error(request, VersoError("workers_busy", str(error)))


def on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[dict[str, Any]]:
    """Shape what Litestar itself refuses: routes, methods, parameters, bodies."""
    if error.detail == _CLIENT_GONE:
        return on_verso_error(request, VersoError("body_incomplete", "The body broke off. Send it again."))
    if error.status_code == 413:  # noqa: PLR2004
        return on_verso_error(request, too_large(request.app.state.services.settings.max_plain_json_size))
    if error.status_code not in _REFUSED_BY_LITESTAR:
        return on_fault(request, error)
    code, sentence = _REFUSED_BY_LITESTAR[error.status_code]
    detail: dict[str, Any] = {}
    reason = error.detail.partition(" for path ")[0]  # who asked knows the address, and it may hold names
    if isinstance(error.extra, list):
        told = as_sent(request.route_handler.parsed_fn_signature.parameters, error.extra)
        detail["errors"] = told
        reason = "; ".join(f"{each.get('key', 'value')}: {each.get('message')}" for each in told)
    response = on_verso_error(request, VersoError(code, sentence.format(detail=reason), **detail))
    for name, value in (error.headers or {}).items():
        response.headers.setdefault(name, value)
    return response


def on_fault(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    """Hide an unexpected error's text, and log it with its trace."""
    if str(error) == _TOO_DEEP:
        return on_verso_error(
            request, VersoError("bad_json", "The JSON is nested too deeply. Send it flatter.")
        )
    log.error("fault", exc_info=error, request_id=request.scope.get("verso_request_id"))
    sentence = "Something went wrong in Verso itself. The log has it under this request_id."
    return on_verso_error(request, VersoError("internal", sentence))


@get("/problems/{code:str}", tags=["operations"], summary="What an error code means", exclude_from_auth=True)
async def read_problem(code: FromPath[str]) -> dict[str, Any]:
    """The meaning of a problem `type`."""
    if code not in PROBLEMS:
        raise VersoError("not_found", "There is no problem of that code.")
    return {"code": code, "status": PROBLEMS[code].status, "title": PROBLEMS[code].title}
