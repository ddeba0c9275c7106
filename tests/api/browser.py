"""A browser as far as signing in needs one: a jar of cookies, redirects, the GitHub stand-in's form, Sec-Fetch-Site."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

if TYPE_CHECKING:
    from tests.api.world import Api, Contract


class Browser(httpx.Client):
    """One browser at one API; answers of the API are held to the contract.

    Requests carry what a page of the site's own would send, unless the test says otherwise.
    """

    def __init__(self, api: Api | str, contract: Contract | None = None) -> None:
        self.site = api if isinstance(api, str) else api.url
        self.contract = contract
        super().__init__(base_url=self.site, timeout=30, trust_env=False)

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        response = super().send(request, **options)
        if self.contract is not None and str(request.url).startswith(self.site):
            if "text/html" in request.headers["accept"] and response.status_code >= 400:
                assert response.headers["content-type"].startswith("text/html"), response.text
            else:
                self.contract.check(response)
        return response

    def open(self, address: str, **options: Any) -> httpx.Response:
        """Go to an address as somebody does who types it."""
        return self.get(address, headers={"Accept": "text/html", "Sec-Fetch-Site": "none"}, **options)

    def begin(self, onward: str | None = None) -> str:
        """Begin to sign in; return the address of Auth that the browser is sent to."""
        query = {"provider": "github", **({} if onward is None else {"next": onward})}
        answer = self.open("/auth/login", params=query)
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    def at_github(self, address: str, login: str = "", *, cancel: bool = False) -> str:
        """Choose somebody on the stand-in's page; return the callback's address with the code."""
        with httpx.Client(timeout=20, trust_env=False) as elsewhere:
            page = elsewhere.get(address).headers["location"]
            state = re.search(r'name="state" value="([^"]+)"', elsewhere.get(page).text)
            assert state is not None
            form = {"state": html.unescape(state[1]), **({"cancel": "1"} if cancel else {"login": login})}
            back = elsewhere.post(page, data=form).headers["location"]
            return elsewhere.get(back).headers["location"]

    def sign_in(self, login: str, onward: str | None = None) -> httpx.Response:
        """Sign in with GitHub; return the answer of the page where it ends."""
        callback = self.at_github(self.begin(onward), login)
        answer = self.open(callback)
        assert answer.status_code == 303, answer.text
        assert not urlsplit(answer.headers["location"]).netloc
        return self.open(answer.headers["location"])

    def page_fields(self, **more: str) -> dict[str, str]:
        """What a page's own script sends along when it writes."""
        token = self.cookies.get("verso-csrf")
        return {"Sec-Fetch-Site": "same-origin", **({"X-CSRF-Token": token} if token else {}), **more}
