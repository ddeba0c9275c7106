"""Whatever may be in an audit trail has plain words on its pages."""

from __future__ import annotations

from app.supabase.audit import KINDS
from app.web.acts import WORDS


def test_every_kind_has_words() -> None:
    assert WORDS.keys() == KINDS
