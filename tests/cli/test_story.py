"""The demo's fixture is consistent in itself, and a story that isn't is refused."""

from __future__ import annotations

import msgspec
import pytest

from app.cli.story import (
    ROLES,
    DemoChange,
    Edit,
    Move,
    Restore,
    Story,
    StoryError,
    demo_directory,
    read_people,
    read_story,
    tell,
)


def story_of(*changes: DemoChange) -> Story:
    return msgspec.structs.replace(read_story(demo_directory()), changes=list(changes))


def test_every_document_of_the_fixture_is_told_once_and_none_is_missing() -> None:
    story = read_story(demo_directory())
    added = [story.files.get(path, path) for change in story.changes for path in change.add]
    documents = demo_directory() / "documents"
    files = [str(path.relative_to(documents)) for path in documents.rglob("*") if path.is_file()]
    assert sorted(added) == sorted(files)


def test_the_story_can_be_told_from_beginning_to_end() -> None:
    story = read_story(demo_directory())
    assert [told.change for told in tell(story, demo_directory())] == story.changes


def test_changes_are_made_by_people_who_may_write() -> None:
    assert {change.author for change in read_story(demo_directory()).changes} == {"owner", "editor"}


def test_there_is_one_person_for_each_role() -> None:
    people = read_people(demo_directory())
    assert tuple(people) == ROLES
    assert len({person.email for person in people.values()}) == len(ROLES)
    assert len({person.handle for person in people.values()}) == len(ROLES)


def test_an_edit_replaces_one_passage_and_later_edits_see_the_result() -> None:
    begin = DemoChange(author="owner", message="", add=["charter.md"])
    first = DemoChange(author="owner", message="", edit=[Edit("charter.md", "# Charter", "# One")])
    second = DemoChange(author="owner", message="", edit=[Edit("charter.md", "# One", "# Two")])
    told = tell(story_of(begin, first, second), demo_directory())
    assert told[2].texts["charter.md"].startswith("# Two\n")


def test_a_document_is_edited_under_its_new_path_after_a_move() -> None:
    begin = DemoChange(author="owner", message="", add=["charter.md"])
    move = DemoChange(author="owner", message="", move=[Move("charter.md", "why.md")])
    edit = DemoChange(author="owner", message="", edit=[Edit("why.md", "# Charter", "# Why")])
    told = tell(story_of(begin, move, edit), demo_directory())
    assert told[2].texts["why.md"].startswith("# Why\n")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (DemoChange("owner", "m", edit=[Edit("charter.md", "no such words", "")]), "occurs 0 times"),
        (DemoChange("owner", "m", edit=[Edit("charter.md", "the", "")]), "times in charter.md"),
        (DemoChange("owner", "m", add=["nowhere.md"]), "nowhere.md"),
        (DemoChange("owner", "m", delete=["nowhere.md"]), "nowhere.md"),
        (DemoChange("owner", "m", restore=[Restore("charter.md", 7)]), "doesn't fit"),
    ],
    ids=["absent passage", "passage that occurs often", "absent file", "absent document", "absent version"],
)
def test_a_change_that_does_not_fit_is_named(change: DemoChange, reason: str) -> None:
    begin = DemoChange(author="owner", message="", add=["charter.md"])
    with pytest.raises(StoryError, match=reason) as raised:
        tell(story_of(begin, change), demo_directory())
    assert "Change 2 of the demo ('m')" in str(raised.value)
