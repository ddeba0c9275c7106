"""Reading: rendered and source, as it was, folders, what is gone; and documents that mean harm."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.web.browsing import check_everywhere, check_page, click_through

if TYPE_CHECKING:
    from tests.api.world import Project
    from tests.web.browsing import Site

PLAN = """---
owner: editor
---
# Plan

See [the notes](notes/first.md#why) and [elsewhere](https://example.com/), or [back](#plan).

- [x] begin
- [ ] go on

| a | b |
|---|--:|
| 1 | 2 |

```python
print("hello")
```

![A dot](dot.png) and ![a picture elsewhere](https://example.com/spy.png)[^1]

### A level was left out

[^1]: A note.
"""
HOSTILE = """# Harm <script>alert(1)</script>

<script>document.title = "pwned"</script>
<img src=x onerror="document.title='pwned'">
<iframe src="/auth/session"></iframe>
<style>body { display: none }</style>
<form action="/auth/logout" method="post"><button>Sign out</button></form>

[a](javascript:document.title='pwned') [b](data:text/html;base64,PHNjcmlwdD4=) [c](vbscript:x)
![d](javascript:x) <a href="javascript:x">e</a> [f]( java&#x0A;script:x )

<div style="position:fixed;inset:0">over everything</div>
"""
DOT = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360f8cf"
    "f01f0005000201a5f6457d0000000049454e44ae426082"
)


@pytest.fixture(scope="module")
def written(project: Project) -> Project:
    first = project.written("docs/plan.md", "# Plan\n\nfirst\n", content_type="text/markdown")
    project.written("docs/plan.md", PLAN, base=first["hash"], content_type="text/markdown")
    project.written("docs/notes/first.md", "# First\n\n## Why\n", content_type="text/markdown")
    project.written("docs/dot.png", DOT, content_type="image/png")
    project.written("harm.md", HOSTILE, content_type="text/markdown")
    project.written(
        "code.py", "".join(f"line_{n} = {n}\n" for n in range(1, 4502)), content_type="text/x-python"
    )
    project.written("odd.txt", "if access\u202e { user\u2066\n", content_type="text/plain")
    project.written("bytes.bin", bytes(range(256)), content_type="application/octet-stream")
    return project


async def test_markdown_is_a_page_whose_links_and_pictures_stay_in_the_project(
    web: Site, written: Project
) -> None:
    path = f"/p/{written.slug}/files/docs/plan.md"
    await check_everywhere(web, "reader", path)
    page = await web.page("reader", path)
    article = page.get_by_role("article")
    assert (
        await article.get_by_role("heading", name="A level was left out").evaluate("e => e.tagName") == "H3"
    )
    assert await article.get_by_role("img", name="A dot").evaluate("e => e.complete && e.naturalWidth") == 1
    outside = article.get_by_role("link", name="Picture elsewhere: a picture elsewhere")
    assert await outside.get_attribute("rel") == "noopener noreferrer nofollow"
    await article.get_by_role("link", name="the notes").click()
    await page.wait_for_url(f"{web.url}/p/{written.slug}/files/docs/notes/first.md#h-why")
    assert await page.locator(":target").inner_text() == "Why"


async def test_a_hostile_document_is_text(web: Site, written: Project) -> None:
    page = await web.page("reader", f"/p/{written.slug}/files/harm.md")
    await check_page(page)
    article = page.get_by_role("article")
    assert "<script>alert(1)</script>" in await article.inner_text()
    assert await page.title() == f"harm.md · {written.slug} · Verso"
    assert await article.locator("script, style, iframe, form, [style], [onerror]").count() == 0
    hrefs = await article.locator("a").evaluate_all("all => all.map(a => a.protocol)")
    assert set(hrefs) <= {"http:"}, hrefs


async def test_the_source_has_a_link_to_every_line_and_comes_in_pages(web: Site, written: Project) -> None:
    path = f"/p/{written.slug}/files/code.py"
    await check_everywhere(web, "reader", f"/p/{written.slug}/files/docs/plan.md?view=source")
    page = await web.page("reader", path)
    assert await page.locator(".lines li").count() == 2000
    await page.get_by_role("link", name="Line 7", exact=True).click()
    await expect(page).to_have_url(re.compile("#L7$"))
    assert "line_7 = 7" in await page.locator(":target").inner_text()
    await click_through(page.get_by_role("link", name="Lines 2001 and after"))
    await click_through(page.get_by_role("link", name="Lines 4001 and after"))
    assert await page.locator("#L4501 code").inner_text() == "line_4501 = 4501"
    assert await page.get_by_role("link", name="and after").count() == 0


async def test_odd_characters_are_named_and_what_is_no_text_says_so(web: Site, written: Project) -> None:
    page = await web.page("reader", f"/p/{written.slug}/files/odd.txt")
    assert "[U+202E]" in await page.locator("#L1").inner_text()
    for path in ("bytes.bin", "docs/dot.png"):
        await page.goto(f"/p/{written.slug}/files/{path}")
        await check_page(page)


async def test_a_document_as_it_was_by_keys_and_without_a_script(web: Site, written: Project) -> None:
    page = await web.page("reader", f"/p/{written.slug}/files/docs/plan.md")
    await page.keyboard.press("k")
    await page.wait_for_url("**at=v1")
    assert "This is version 1 of 2." in await page.get_by_role("main").inner_text()
    await check_page(page)
    await page.keyboard.press("j")
    await page.wait_for_url("**at=v2")
    await page.locator("summary", has_text="Version 2").click()
    await page.get_by_role("link", name="Version 1", exact=True).click()
    await page.wait_for_url("**at=v1")
    plain = await web.page("reader", f"/p/{written.slug}/files/docs/plan.md", java_script_enabled=False)
    await click_through(plain.get_by_role("link", name="Previous version"))
    await click_through(plain.get_by_role("link", name="To the newest"))
    assert plain.url.endswith("/files/docs/plan.md")


async def test_a_folder_and_the_project_as_they_were(web: Site, written: Project) -> None:
    await check_everywhere(web, "reader", f"/p/{written.slug}/files/docs")
    page = await web.page("reader", f"/p/{written.slug}?at=1", java_script_enabled=False)
    assert "As it was after #1" in await page.get_by_role("main").inner_text()
    await click_through(page.get_by_role("link", name="docs", exact=True))
    assert await page.get_by_role("link", name="notes").count() == 0
    await click_through(page.get_by_role("link", name="plan.md"))
    assert "first" in await page.get_by_role("article").inner_text()
    await click_through(page.get_by_role("navigation", name="Where you are").get_by_role("link", name="docs"))
    assert "As it was after #1" in await page.get_by_role("main").inner_text()


async def test_the_colours_that_somebody_chose_are_there_from_the_first_byte(web: Site) -> None:
    page = await web.page(None, "/", color_scheme="light", java_script_enabled=False)
    light = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    await click_through(page.get_by_role("button", name="Dark"))
    assert page.url == f"{web.url}/"
    dark = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert dark != light
    assert 'data-theme="dark"' in await (await page.goto("/")).text()


@pytest.mark.parametrize("path", ["", "/history", "/files/docs/plan.md", "/files/code.py", "/upload"])
async def test_a_first_view_stays_below_100_kb(web: Site, written: Project, path: str) -> None:
    page = await web.page("editor", apart=True)
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("Network.enable")
    sizes: list[float] = []
    devtools.on("Network.loadingFinished", lambda told: sizes.append(told["encodedDataLength"]))
    await page.goto(f"/p/{written.slug}{path}", wait_until="networkidle")
    assert len(sizes) >= 3
    assert 5_000 < sum(sizes) < 100_000, sizes
