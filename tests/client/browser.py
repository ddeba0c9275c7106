"""A browser's part of a sign-in: follow the redirects, fill in the GitHub stand-in's form, follow them back.

As a program it is what BROWSER names, and takes the login from VERSO_TEST_LOGIN:

    BROWSER="python -m tests.client.browser %s"
"""

from __future__ import annotations

import html
import os
import re
import sys

import httpx


def visit(address: str, *, login: str = "", cancel: bool = False, arrive: bool = True) -> str:
    """Sign in at an address; return where the browser ends. Unless `arrive`, it doesn't ask for that page."""
    with httpx.Client(timeout=20, trust_env=False) as client:
        page_url = client.get(address).headers["location"]
        state = re.search(r'name="state" value="([^"]+)"', client.get(page_url).text)
        assert state is not None
        form = {"state": html.unescape(state[1]), **({"cancel": "1"} if cancel else {"login": login})}
        callback = client.post(page_url, data=form).headers["location"]
        end = client.get(callback).headers["location"]
        if arrive:
            client.get(end).raise_for_status()
        return str(end)


if __name__ == "__main__":
    chosen = os.environ["VERSO_TEST_LOGIN"]
    visit(sys.argv[1], login=chosen, cancel=chosen == "-")
