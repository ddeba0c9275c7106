"""The service as a whole in its OpenAPI document: what it is for, its groups of operations, signing in."""

from __future__ import annotations

from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, License, SecurityScheme, Tag

from app.api.openapi import operation_name
from app.api.reference import DocumentPlugin, PagePlugin, StylePlugin

TAGS = {
    "sign-in": "Where clients sign in.",
    "people": "Who is asking.",
    "projects": "What members belong to; their roles; what paths there are.",
    "sessions": "Runs of the IDSE pipeline.",
    "pipelines": "Where the stages of sessions stand, and how they came there.",
    "events": "What happens, as it happens.",
    "presence": "Who is looking at or editing what just now.",
    "files": "The latest bytes of a path, in and out.",
    "changes": "Many documents at once, and the project's log.",
    "documents": "One document: its history, versions, differences.",
    "history": "A project between two points, and back to one.",
    "analytics": "How long work takes, where it waits, how much of it comes back.",
    "agents": "Accounts of their own for a project's programs.",
    "audit": "Who did what, from where, when.",
    "webhooks": "A project's events, sent to addresses that its owners name.",
    "tags": "Names for points of history.",
    "erasing": "Bytes that have to go for legal reasons.",
    "imports": "A Git history on its way in.",
    "reviews": "Verdicts on versions, and comments that stay beside their lines.",
    "operations": "For operators and balancers.",
}
OPENAPI = OpenAPIConfig(
    title="Verso",
    version="0.1.0",
    summary="Document versioning on Supabase.",
    description=(
        "Every upload is an immutable version. Writes name the version they are based on (`If-Match`), so "
        "nobody's work is overwritten. Sign in with Supabase Auth and send its access token as Bearer. "
        "Errors are problem documents (RFC 9457) with a stable `code`."
    ),
    render_plugins=[PagePlugin(), DocumentPlugin(), StylePlugin()],
    license=License(name="MIT", identifier="MIT"),
    path="/schema",
    use_handler_docstrings=True,
    operation_id_creator=operation_name,
    tags=[Tag(name, description=meaning) for name, meaning in TAGS.items()],
    security=[{"bearer": []}, {"cookie": []}],
    components=Components(
        security_schemes={
            "bearer": SecurityScheme(
                type="http",
                scheme="bearer",
                bearer_format="JWT",
                description="An access token of Supabase Auth.",
            ),
            "cookie": SecurityScheme(
                type="apiKey",
                name="verso-access",
                security_scheme_in="cookie",
                description="Of pages: GET /auth/login sets it; over https its name begins with __Host-. "
                "What writes says X-CSRF-Token too.",
            ),
        }
    ),
)
