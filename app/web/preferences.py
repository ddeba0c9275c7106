"""What a browser remembers of how somebody likes to see pages."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.response import Redirect

from app.api.auth_sessions import form_of
from app.api.cookies import THEME, is_secure
from app.api.same_site import check_same_site, safe_next
from app.api.services import Services

YEAR_SECONDS = 365 * 24 * 3600


@post("/theme", status_code=303)
async def choose_theme(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Remember light or dark; anything else forgets it, and the system decides. Needs no account."""
    check_same_site(request, services.settings)
    form = await form_of(request)
    wanted = form.get("theme", "")
    kept = wanted in {"light", "dark"}
    cookie = Cookie(
        key=THEME,
        value=wanted if kept else "",
        path="/",
        max_age=YEAR_SECONDS if kept else 0,
        secure=is_secure(services.settings),
        httponly=True,
        samesite="lax",
    )
    return Redirect(safe_next(form.get("next")), status_code=303, cookies=[cookie])
