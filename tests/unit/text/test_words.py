"""Changed words inside changed lines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.text.words import Granularity, refine


def shown(old: str, new: str, **options):
    found = refine([old], [new], **options)
    if found is None:
        return None
    return (
        [old[start:end] for start, end in found.removed[0]],
        [new[start:end] for start, end in found.added[0]],
    )


def test_a_changed_word_is_shown_whole():
    assert shown("we import calendars daily\n", "we import calendar daily\n") == (["calendars"], ["calendar"])


def test_neighbouring_words_make_one_span():
    assert shown("it was the old way of doing this\n", "it was a new way of doing this\n") == (
        ["the old"],
        ["a new"],
    )


def test_an_inserted_word_has_a_span_on_one_side():
    assert shown("add it in one change\n", "add it only in one change\n") == ([], ["only "])


def test_lines_that_share_hardly_a_word_are_shown_whole():
    assert shown("nothing of this stays here\n", "all words are other ones now\n") is None


def test_characters_without_blanks_between_words_are_compared_one_by_one():
    assert shown("東京の予定を読む\n", "大阪の予定を読む\n") == (["東京"], ["大阪"])


def test_marks_and_vowel_signs_do_not_cut_words():
    assert shown("यह किताब है और वह भी\n", "यह किताबें है और वह भी\n") == (["किताब"], ["किताबें"])


def test_single_characters_can_be_asked_for():
    assert shown("calendars\n", "calendar\n", granularity=Granularity.CHARACTER) == (["s"], [])
    assert shown("a b\n", "a c\n", granularity=Granularity.LINE) is None


def test_words_are_followed_over_line_ends():
    found = refine(["one two three four\n", "five six\n"], ["one two\n", "three four five six\n"])
    assert found is not None
    # Only the blanks where the line is cut now and was before.
    assert found.removed == (((7, 8),), ())
    assert found.added == ((), ((10, 11),))


def test_a_very_long_line_is_cut_at_its_equal_ends_first():
    words = [f"word{number}" for number in range(100_000)]
    old = " ".join(words) + "\n"
    words[50_000] = "other"
    assert shown(old, " ".join(words) + "\n") == (["word50000"], ["other"])


def test_too_many_tokens_are_not_compared():
    assert refine(["a " * 40_000 + "\n"], ["b " * 40_000 + "\n"]) is None


@given(
    st.lists(st.text(max_size=12), max_size=5),
    st.lists(st.text(max_size=12), max_size=5),
    st.sampled_from(list(Granularity)),
)
def test_what_is_not_in_a_span_is_equal_on_both_sides(removed, added, granularity):
    old = [line.replace("\n", " ") + "\n" for line in removed]
    new = [line.replace("\n", " ") + "\n" for line in added]
    found = refine(old, new, granularity=granularity)
    if found is None:
        return

    def rest(lines, spans):
        kept = []
        for line, places in zip(lines, spans, strict=True):
            inside = {at for start, end in places for at in range(start, end)}
            kept += [character for at, character in enumerate(line) if at not in inside and character != "\n"]
        return "".join(kept)

    assert rest(old, found.removed) == rest(new, found.added)
