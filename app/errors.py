"""What can go wrong, as a code and a sentence. No HTTP here: `app.api.problems` maps codes to statuses.

Codes are the same words in SQL (`private.fail`), in Python and in the problem documents that clients
get; docs/errors.md lists them all, and a test holds the list together.
"""

from __future__ import annotations

from typing import Any


class VersoError(Exception):
    """A refusal or failure with a stable code, a sentence for a person, and what a client needs next.

    `code` is snake_case and never changes its meaning. `sentence` says what to do next. `detail` holds
    JSON-able extras such as `head` or `items`; it never holds document content or tokens.
    """

    def __init__(self, code: str, sentence: str, **detail: Any) -> None:
        super().__init__(f"{code}: {sentence}")
        self.code = code
        self.sentence = sentence
        self.detail = detail
