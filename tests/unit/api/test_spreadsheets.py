"""Other people's words in a table that somebody opens in a spreadsheet."""

from __future__ import annotations

import csv
import io

from app.api.spreadsheets import csv_text

SIGNS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"


def test_no_text_begins_a_formula_and_numbers_are_left_as_they_are() -> None:
    rows = [[f"{sign}cmd|' /C calc'!A0", -1, None, "a=1"] for sign in SIGNS]
    _, *read = csv.reader(io.StringIO(csv_text(["a", "b", "c", "d"], rows), newline=""))
    assert read == [[f"'{sign}cmd|' /C calc'!A0", "-1", "", "a=1"] for sign in SIGNS]
