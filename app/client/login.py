"""Signing in: through the browser with a loopback redirect (RFC 8252, RFC 7636), or with what is at hand.

1  A verifier, its challenge and a state are made here; the browser is sent to Auth with the challenge, and an
   address of this machine to come back to, on a port that was free.
2  The browser comes back with a code. Only the request that has the state is listened to; any other one is
   answered and forgotten, so that nobody else on this machine can end the sign-in or plant a code.
3  Code and verifier become a session. The code alone is worth nothing.

Without a browser here, one opens the address elsewhere and brings the code, or the address at which that
browser ended, back by hand.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import queue
import secrets
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec

from app.client.api import Api
from app.client.auth import Auth, Session, brought
from app.client.credentials import Login
from app.errors import VersoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from app.client.auth import Where

WAIT_SECONDS = 300.0
"""Auth forgets a sign-in that takes longer."""
HOST = "127.0.0.1"
PATH = "/callback"
REQUEST_SECONDS = 10.0
SLICE_SECONDS = 0.5
_PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>Verso</title>'
    "<h1>{title}</h1><p>{text}</p></html>"
)


class MyProject(msgspec.Struct, frozen=True):
    """A project that one is a member of."""

    slug: str
    role: str


class Me(msgspec.Struct, frozen=True):
    """Who one is at a server."""

    id: str
    handle: str
    name: str | None
    projects: list[MyProject]


@dataclass(frozen=True)
class Returned:
    """What the browser, or somebody by hand, brought back."""

    code: str | None = None
    error: str | None = None


class Receiver:
    """The address of this machine that the browser comes back to. Made by `receiving`."""

    def __init__(self, port: int, state: str, results: queue.Queue[Returned]) -> None:
        self._state = state
        self._results = results
        # Auth sets a state of its own at the provider, so ours travels in the address to come back to.
        self.redirect_to = f"http://{HOST}:{port}{PATH}?{urlencode({'state': state})}"

    def take(self, pasted: str) -> None:
        """Take what somebody brought by hand: a code, or the whole address at which the browser ended."""
        pasted = pasted.strip()
        if "?" not in pasted:
            self._results.put(Returned(code=pasted) if pasted else Returned(error="nothing was pasted"))
            return
        found = self.read(urlsplit(pasted).query)
        self._results.put(found or Returned(error="that address is not the one that this sign-in ended at"))

    def read(self, query: str) -> Returned | None:
        """What a query says, or None when it isn't of this sign-in."""
        values = {name: found[0] for name, found in parse_qs(query).items()}
        if not hmac.compare_digest(values.get("state", "").encode(), self._state.encode()):
            return None
        if "error" in values:
            return Returned(error=values.get("error_description") or values["error"])
        return Returned(code=values["code"]) if values.get("code") else None

    def wait(self, seconds: float) -> str:
        """The code. Raises VersoError `sign_in_refused`, or `sign_in_timed_out` when nobody comes back."""
        deadline = time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise VersoError(
                    "sign_in_timed_out", "Nobody came back from the browser. Run `verso login` to begin anew."
                )
            try:
                # In slices, because Ctrl-C interrupts no wait on Windows.
                returned = self._results.get(timeout=min(left, SLICE_SECONDS))
                break
            except queue.Empty:
                continue
        if returned.code is None:
            raise VersoError(
                "sign_in_refused", f"Sign-in didn't happen: {returned.error}. Run `verso login` to try again."
            )
        return returned.code


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Listen on a free port of the loopback address until the block ends."""
    results: queue.Queue[Returned] = queue.Queue()
    # Threads, because browsers open connections in advance on which nothing comes.
    server = ThreadingHTTPServer((HOST, 0), BaseHTTPRequestHandler)
    server.daemon_threads = True
    receiver = Receiver(server.server_address[1], secrets.token_urlsafe(24), results)
    server.RequestHandlerClass = _handler(receiver, results, host=f"{HOST}:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def through_browser(
    where: Where,
    *,
    show: Callable[[str], None],
    paste: Callable[[], str] | None = None,
    seconds: float = WAIT_SECONDS,
) -> Session:
    """A session by way of a browser.

    `show` gets the address to open. `paste`, if given, is asked for a line with what the browser brought back
    (empty: there is none), while the loopback address listens as well. Raises VersoError
    `sign_in_refused`, `sign_in_timed_out`, `unreachable`.
    """
    verifier = secrets.token_urlsafe(64)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    with Auth(where) as auth, receiving() as receiver:
        show(auth.authorize_url(redirect_to=receiver.redirect_to, challenge=challenge))
        if paste is not None:
            # A daemon, because nothing can interrupt reading a terminal.
            threading.Thread(target=_take_pasted, args=(receiver, paste), daemon=True).start()
        return auth.by_code(receiver.wait(seconds), verifier)


def with_token(where: Where, given: str) -> Session:
    """A session with what was brought along, on standard input.

    An access token; a refresh token; or a JSON object with `email` and `password`, with `refresh_token`, or
    with `access_token`. Raises VersoError `bad_usage`, `sign_in_refused`, `session_ended`, `unreachable`.
    """
    given = given.strip()
    if given.startswith("{"):
        try:
            value = msgspec.json.decode(given, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise VersoError("bad_usage", f"The JSON on standard input can't be read ({error}).") from None
    elif given.count(".") == 2:  # noqa: PLR2004 - a JWT has three parts
        value = {"access_token": given}
    else:
        value = {"refresh_token": given}
    texts = {name: text for name, text in value.items() if isinstance(text, str) and text}
    with Auth(where) as auth:
        if {"email", "password"} <= set(texts):
            return auth.by_password(texts["email"], texts["password"])
        if "refresh_token" in texts:
            return auth.by_refresh(texts["refresh_token"])
        if "access_token" in texts:
            return brought(texts["access_token"])
    raise VersoError(
        "bad_usage",
        "Give an access token, a refresh token, or JSON with `email` and `password`, on standard input.",
    )


def made_login(server: str, where: Where, session: Session) -> Login:
    """The login of a session, once the server has said who that is. Raises VersoError as `Api` does."""
    with Api(server, session.access_token) as api:
        me = api.get("/v1/me", kind=Me)
    return Login(server=server, where=where, session=session, account=me.id, name=me.handle)


def _take_pasted(receiver: Receiver, paste: Callable[[], str]) -> None:
    pasted = paste()
    # Nothing at all is the end of standard input: who comes back through the loopback address is still heard.
    if pasted:
        receiver.take(pasted)


def _handler(
    receiver: Receiver, results: queue.Queue[Returned], *, host: str
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = REQUEST_SECONDS

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            # Another name for this address is another site's, made to point here.
            if parts.path != PATH or self.headers.get("host") != host:
                self._answer(404, "Nothing here", "This address only waits for a sign-in to Verso.")
                return
            returned = receiver.read(parts.query)
            if returned is None:
                self._answer(400, "Not this sign-in", "This is not the sign-in that is waited for here.")
                return
            if returned.code is None:
                self._answer(200, "Not signed in", "You may close this page; the terminal says why.")
            else:
                self._answer(200, "Almost there", "You may close this page and go back to the terminal.")
            results.put(returned)

        def _answer(self, status: int, title: str, text: str) -> None:
            body = _PAGE.format(title=title, text=text).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
            self.send_header("Referrer-Policy", "no-referrer")
            self.send_header("Cache-Control", "no-store")
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's
            """Nothing: a request here holds a code."""

    return Handler
