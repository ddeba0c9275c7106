"""The users of an older system, out of its CSV or JSON."""

from __future__ import annotations

import json

import pytest

from app.errors import VersoError
from app.flows.old_users import read_users

BCRYPT = "$2b$10$GvPbE4Jc0WNj9cCMiYm8H.PIDNSsES0CJsfVVLc4RP8FziGHO8st2"
ARGON2 = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b0WlqYm1yBhZuFmsFKfTLvZbhA"


def read(text: str) -> tuple[list[dict[str, object]], list[tuple[int, str]]]:
    users, left_out = read_users(text.encode())
    told = [{name: getattr(user, name) for name in user.__struct_fields__} for user in users]
    return told, [(each.line, each.why) for each in left_out]


def test_csv_and_json_tell_the_same():
    (by_csv, _) = read(
        "\ufeffUser_ID,Email,Full Name,Roles,email_verified,hashed_password,shoe size\r\n"
        f'7,Zo\u00eb.A@Example.com,"Ahlgren,\nZo\u00eb",admin;editor,TRUE,{BCRYPT},38\r\n'.replace(
            "Zo\u00eb.A", "Zoe.A"
        )
    )
    row = {"id": 7, "mail": "zoe.a@example.com", "name": "Ahlgren, Zo\u00eb", "roles": ["admin", "editor"]}
    (by_json, _) = read(json.dumps({"users": [row | {"verified": True, "bcrypt": BCRYPT}]}))
    assert {**by_csv[0], "line": 1} == by_json[0]
    assert by_json[0] == {
        "line": 1, "id": "7", "email": "zoe.a@example.com", "name": "Ahlgren, Zo\u00eb", "username": None,
        "roles": ["admin", "editor"], "verified": True, "password_hash": BCRYPT, "notes": [],
    }  # fmt: skip


@pytest.mark.parametrize("word", ["", "false", "no", "0", "maybe", "2024-01-01", "TRUE!", "null", "None"])
def test_only_a_plain_yes_verifies_an_address(word):
    (users, _) = read(f"email,verified\na@example.com,{word}\n")
    assert users[0]["verified"] is False


@pytest.mark.parametrize(
    "hashed", [BCRYPT, BCRYPT.replace("$2b", "$2y"), ARGON2, ARGON2.replace("id$", "i$", 1)]
)
def test_hashes_that_auth_can_check_come_along(hashed):
    assert (
        read_users(json.dumps([{"email": "a@b.c", "password_hash": hashed}]).encode())[0][0].password_hash
        == hashed
    )


@pytest.mark.parametrize(
    "given",
    ["hunter2", BCRYPT[:-1], BCRYPT + "x", BCRYPT.replace("$10", "$31"), ARGON2.replace("argon2id", "argon2d"),
     ARGON2.replace("v=19", "v=16"), "$2x" + BCRYPT[3:], "pbkdf2_sha256$1$a$b"],
)  # fmt: skip
def test_what_may_be_a_password_is_left_and_never_told(given):
    users, _ = read(json.dumps([{"email": "a@b.c", "password": given}]))
    assert users[0]["password_hash"] is None
    assert len(users[0]["notes"]) == 1
    assert given not in str(users)


def test_lines_that_are_no_account_are_told_with_the_reason():
    users, left_out = read("email,name\n,Nobody\nnot an address,X\na@b.c,One\nA@B.c,Two\nd@e.f,Three\n")
    assert [user["name"] for user in users] == ["Three"]
    assert [line for line, _ in left_out] == [2, 3, 4, 5]
    assert "line 4" in left_out[3][1]


def test_an_id_that_two_lines_have_is_neithers():
    """Whoever shows the older system's token for it would else be either of them."""
    rows = [
        {"id": 7, "email": "a@b.c"},
        {"id": "7", "email": "d@e.f"},
        {"email": "g@h.i"},
        {"email": "j@k.l"},
    ]
    users, left_out = read(json.dumps(rows))
    assert [user["email"] for user in users] == ["g@h.i", "j@k.l"]
    assert left_out == [(1, "its id 7 is also in line 2"), (2, "its id 7 is also in line 1")]


@pytest.mark.parametrize(
    "data",
    [b"", b"name,age\nx,1\n", b"[1, 2]", b'{"people": []}', b"[{", b"\xff\xfe", b'email\n"a@b.c\n'],
)
def test_a_file_that_is_neither_is_refused(data):
    with pytest.raises(VersoError, match="bad_users_file"):
        read_users(data)
