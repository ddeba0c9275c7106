"""Writing in a browser: uploads, the editor, moves, deletes, restores; with a script and without one."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from tests.api.world import make_project
from tests.web.browsing import check_everywhere, check_page, click_through

if TYPE_CHECKING:
    from playwright.async_api import Page

    from tests.api.world import Project
    from tests.web.browsing import Site


def file(name: str, text: str) -> dict[str, object]:
    return {"name": name, "mimeType": "", "buffer": text.encode()}


async def said(page: Page) -> str:
    return await page.locator("#notices").inner_text()


def text_of(project: Project, path: str) -> str:
    return project.people.reader.get(project.file(path)).text


def messages(project: Project) -> list[str]:
    """Of the changes, newest first: who types none has what the page proposed."""
    return [each["message"] for each in project.people.reader.get(f"{project.url}/changes").json()["items"]]


async def test_a_newcomer_s_first_documents_without_a_script(web: Site) -> None:
    project = make_project(web.members())
    await check_everywhere(web, "editor", f"/p/{project.slug}")
    page = await web.page("editor", f"/p/{project.slug}", java_script_enabled=False)
    await page.get_by_label("Choose files").set_input_files([file("a.md", "# A\n"), file("b.txt", "b\n")])
    await page.get_by_label("Folder").fill("first")
    await click_through(page.get_by_role("button", name="Upload"))
    assert await said(page) == "2 documents are uploaded as change #1."
    assert page.url == f"{web.url}/p/{project.slug}/files/first"
    assert text_of(project, "first/a.md") == "# A\n"
    assert messages(project) == ["Upload 2 documents"]


async def test_an_upload_shows_its_way_and_files_may_be_dropped(web: Site, project: Project) -> None:
    await check_everywhere(web, "editor", f"/p/{project.slug}/upload")
    page = await web.page("editor", f"/p/{project.slug}/upload?folder=dropped")
    await page.locator(".drop").evaluate(
        """drop => {
          const files = new DataTransfer();
          files.items.add(new File(["one"], "one.md"));
          files.items.add(new File(["two".repeat(4000000)], "two.md"));
          drop.dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true }));
        }"""
    )
    assert await page.locator(".chosen li").all_inner_texts() == ["one.md, 3 bytes", "two.md, 11 MB"]
    await page.get_by_role("button", name="Upload").click()
    await page.wait_for_url(f"{web.url}/p/{project.slug}/files/dropped")
    assert "2 documents are uploaded" in await said(page)


async def test_files_may_be_dropped_onto_a_folder_s_page(web: Site, project: Project) -> None:
    project.written("inbox/a.md", "a")
    page = await web.page("editor", f"/p/{project.slug}/files/inbox")
    drop = """name => {
      const files = new DataTransfer();
      files.items.add(new File(["dropped"], name));
      const said = { dataTransfer: files, bubbles: true, cancelable: true };
      document.querySelector("h1").dispatchEvent(new DragEvent("drop", said));
    }"""
    await page.evaluate(drop, "b.md")
    await page.wait_for_url(f"{web.url}/p/{project.slug}/files/inbox/b.md")
    assert text_of(project, "inbox/b.md") == "dropped"
    await page.goto(f"/p/{project.slug}/files/inbox")
    await page.evaluate(drop, "a.md")
    await page.locator(".progress.wrong").wait_for()
    assert "There already" in await page.locator(".anywhere").inner_text()
    await check_page(page)
    assert text_of(project, "inbox/a.md") == "a"
    # A browser gives a folder as a file that can't be read.
    await page.evaluate(
        """() => {
          const event = new DragEvent("drop", { bubbles: true, cancelable: true });
          const items = [{ webkitGetAsEntry: () => ({ isDirectory: true }) }];
          Object.defineProperty(event, "dataTransfer", { value: { files: [new File([], "x")], items, types: ["Files"] } });
          document.querySelector("h1").dispatchEvent(event);
        }"""
    )
    await page.get_by_text("A folder can't be dropped here.").wait_for()


async def test_what_is_there_is_replaced_only_if_asked_for_and_seen(web: Site, project: Project) -> None:
    name = f"{uuid.uuid4().hex}.md"
    first = project.written(name, "first")
    address = f"/p/{project.slug}/upload"
    page = await web.page("editor", address, java_script_enabled=False)
    await page.get_by_label("Choose files").set_input_files([file(name, "second")])
    await click_through(page.get_by_role("button", name="Upload"))
    assert "Choose to replace it" in await page.get_by_role("alert").inner_text()
    await check_page(await web.page("editor", address))
    await page.get_by_label("Choose files").set_input_files([file(name, "second")])
    await page.get_by_label("A file that is there already").check()
    await click_through(page.get_by_role("button", name="Upload"))
    assert name in await said(page)
    assert text_of(project, name) == "second"
    # Nothing was there when the form was opened: each file is told of.
    await page.goto(address)
    newer = [f"{uuid.uuid4().hex}.md" for _ in range(2)]
    for each in newer:
        project.written(each, "newer")
    await page.get_by_label("Choose files").set_input_files([file(each, "late") for each in newer])
    await page.get_by_label("A file that is there already").check()
    await click_through(page.get_by_role("button", name="Upload"))
    told = await page.get_by_role("alert").inner_text()
    assert all(f"{each}: Somebody changed this" in told for each in newer), told
    # Another page that was opened before that must not replace what it hasn't shown.
    scripted = await web.page("editor", address)
    head = project.people.editor.get(project.file(name)).headers["etag"].strip('"')
    project.written(name, "third", base=head)
    await scripted.get_by_label("Choose files").set_input_files([file(name, "late")])
    await scripted.get_by_label("A file that is there already").check()
    await scripted.get_by_role("button", name="Upload").click()
    await scripted.locator(".progress.wrong").wait_for()
    assert text_of(project, name) == "third"
    assert first["number"] == 1


async def test_a_document_is_written_and_edited(web: Site, project: Project) -> None:
    page = await web.page("editor", f"/p/{project.slug}/create?folder=notes")
    await check_page(page)
    await page.get_by_label("Path").fill("notes/new.md")
    await page.get_by_label("Text").fill("\n# New\n\nline\n")
    await page.get_by_role("button", name="Save").click()
    await page.wait_for_url(f"{web.url}/p/{project.slug}/files/notes/new.md")
    assert text_of(project, "notes/new.md") == "\n# New\n\nline\n"
    await page.keyboard.press("e")
    await page.wait_for_url("**/edit/notes/new.md")
    await check_everywhere(web, "editor", f"/p/{project.slug}/edit/notes/new.md")
    assert await page.get_by_label("Text").input_value() == "\n# New\n\nline\n"
    await page.get_by_label("Text").fill("\n# New\n\nother\n")
    await page.get_by_label("What changed").fill("Another word")
    await page.keyboard.press("Control+s")
    await page.wait_for_url(f"{web.url}/p/{project.slug}/files/notes/new.md")
    assert "Saved as change" in await said(page)
    assert "Another word" in await page.get_by_role("main").inner_text()
    assert text_of(project, "notes/new.md") == "\n# New\n\nother\n"
    await page.goto(f"/p/{project.slug}/create?folder=notes")
    await page.get_by_label("Path").fill("notes/new.md")
    await page.get_by_label("Text").fill("third\n")
    await click_through(page.get_by_role("button", name="Save"))
    await page.get_by_role("alert").filter(has_text="Choose another path.").wait_for()
    assert await page.get_by_label("Text").input_value() == "third\n"


async def test_line_ends_stay_what_they_were_and_nothing_changed_is_no_version(
    web: Site, project: Project
) -> None:
    project.written("dos.txt", b"a\r\nb\r\n")
    page = await web.page("editor", f"/p/{project.slug}/edit/dos.txt", java_script_enabled=False)
    await click_through(page.get_by_role("button", name="Save"))
    assert "nothing was written" in await said(page)
    await page.goto(f"/p/{project.slug}/edit/dos.txt")
    await page.get_by_label("Text").fill("a\nc\n")
    await click_through(page.get_by_role("button", name="Save"))
    assert project.people.reader.get(project.file("dos.txt")).content == b"a\r\nc\r\n"


async def test_unsaved_work_is_warned_of_and_kept(web: Site, project: Project) -> None:
    project.written("kept.md", "before\n")
    page = await web.page("editor", f"/p/{project.slug}/edit/kept.md", apart=True)
    warnings: list[str] = []

    async def leave(dialog: object) -> None:
        warnings.append(dialog.type)
        await dialog.accept()

    page.on("dialog", leave)
    await page.get_by_label("Text").press_sequentially("typed ")
    await page.get_by_role("link", name="Cancel").click()
    await page.wait_for_url("**/files/kept.md")
    assert warnings == ["beforeunload"]
    await page.keyboard.press("e")
    await page.get_by_role("button", name="Put it back").click()
    assert "typed" in await page.get_by_label("Text").input_value()


async def test_a_session_that_ends_while_somebody_writes_takes_nothing_typed_along(
    web: Site, project: Project
) -> None:
    first = project.written("ends.md", "before\n")
    page = await web.page("editor", f"/p/{project.slug}/edit/ends.md", apart=True)
    cookies = await page.context.cookies()
    await page.get_by_label("Text").fill("typed\n")
    await page.get_by_label("What changed").fill("A reason")
    await page.context.clear_cookies()
    await click_through(page.get_by_role("button", name="Save"))
    assert await page.get_by_label("Text").input_value() == "typed\n"
    assert await page.get_by_label("Message").input_value() == "A reason"
    await check_page(page)
    sign_in = await page.get_by_role("main").get_by_role("link", name="Sign in").get_attribute("href")
    assert sign_in is not None
    assert sign_in.endswith("edit%2Fends.md")
    # Signed in again, with a newer version there meanwhile: the tab still has it.
    await page.context.add_cookies(cookies)
    project.written("ends.md", "theirs\n", base=first["hash"], by=project.people.owner)
    await page.get_by_role("link", name="Back").click()
    await page.get_by_role("button", name="Put it back").click()
    assert await page.get_by_label("Text").input_value() == "typed\n"
    assert await page.get_by_label("What changed").input_value() == "A reason"
    # What was written meanwhile is met, not written over.
    await page.get_by_role("button", name="Save").click()
    await page.get_by_role("radio", name="Yours typed").check()
    await page.get_by_role("button", name="Save with these choices").click()
    await page.wait_for_url("**/files/ends.md")
    await page.goto(f"/p/{project.slug}/edit/ends.md")
    await page.get_by_label("Text").focus()
    assert await page.get_by_role("button", name="Put it back").count() == 0  # it was saved
    # What was sent and never arrived is kept, also by who goes back to the page that said the last one was saved.
    await page.get_by_label("Text").fill("on its way\n")
    await page.route("**/edit/ends.md", lambda route: route.fulfill(status=204))
    async with page.expect_response("**/edit/ends.md"):
        await page.get_by_role("button", name="Save").click()
    await page.unroute("**/edit/ends.md")
    await page.go_back()
    await page.goto(f"/p/{project.slug}/edit/ends.md")
    await page.get_by_role("button", name="Put it back").click()
    assert await page.get_by_label("Text").input_value() == "on its way\n"
    # What has no script to keep it is in the answer as well.
    document = f"/p/{project.slug}/documents/{first['document']}/diff?to=1"
    plain = await web.page("reviewer", document, java_script_enabled=False)
    await plain.get_by_label("Comment on the document").fill("A thought")
    await plain.context.clear_cookies()
    await click_through(plain.get_by_role("button", name="Comment", exact=True))
    assert await plain.get_by_label("Body").input_value() == "A thought"
    again = await plain.get_by_role("main").get_by_role("link", name="Sign in").get_attribute("href")
    assert "diff%3Fto%3D1" in (again or "")


async def test_move_delete_undelete_restore(web: Site, project: Project) -> None:
    first = project.written("here.md", "first\n")
    project.written("here.md", "second\n", base=first["hash"])
    page = await web.page("editor", f"/p/{project.slug}/files/here.md", java_script_enabled=False)
    await page.locator("summary", has_text="More").click()
    await page.get_by_role("link", name="Move or rename").click()
    await page.get_by_label("New path").fill("there/now.md")
    await click_through(page.get_by_role("button", name="Move"))
    assert await said(page) == "The document is now at there/now.md."
    await page.goto(f"/p/{project.slug}/files/here.md")
    assert page.url.endswith("/files/there/now.md")
    await page.goto(f"/p/{project.slug}/documents/{first['document']}/restore/1")
    assert "first" in await page.get_by_role("article").inner_text()
    await click_through(page.get_by_role("button", name="Restore"))
    assert "Version 1 is back" in await said(page)
    assert text_of(project, "there/now.md") == "first\n"
    await page.goto(f"/p/{project.slug}/delete/there/now.md")
    await click_through(page.get_by_role("button", name="Delete"))
    assert await said(page) == "there/now.md is deleted. Its history stays, and it can be brought back."
    await check_everywhere(web, "editor", f"/p/{project.slug}/files/there/now.md")
    await click_through(page.get_by_role("button", name="Bring it back"))
    assert await said(page) == "there/now.md is back."
    assert messages(project)[:4] == [
        "Bring back now.md",
        "Delete now.md",
        "Restore version 1 of now.md",
        "Move here.md to there/now.md",
    ]
    for form in ("move", "delete"):
        await check_everywhere(web, "editor", f"/p/{project.slug}/{form}/there/now.md")
    await check_everywhere(web, "editor", f"/p/{project.slug}/documents/{first['document']}/restore/1")


async def test_readers_are_offered_nothing_that_writes(web: Site, project: Project) -> None:
    project.written("read.md", "x")
    for path in ("", "/files/read.md"):
        page = await web.page("reader", f"/p/{project.slug}{path}")
        await page.locator("main").wait_for()
        for name in ("Upload", "New document", "Edit"):
            assert await page.get_by_role("link", name=name, exact=True).count() == 0
