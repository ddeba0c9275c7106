"""Who gets in, who doesn't, and what those who may not see something can find out about it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
import uuid
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.api.world import Api, Contract, Person, Project, code_of, sign_in

if TYPE_CHECKING:
    from tests.stack import Stack


def encoded(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def claims_of(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


def me(api: Api, authorization: str | bytes | None) -> httpx.Response:
    headers = {} if authorization is None else {"Authorization": authorization}
    return httpx.get(f"{api.url}/v1/me", headers=headers, trust_env=False)


def refused(response: httpx.Response) -> bool:
    assert response.status_code == 401, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert code_of(response) == "unauthenticated"
    return response.headers["www-authenticate"].startswith("Bearer")


def test_without_a_token_nobody_gets_in(api: Api) -> None:
    assert refused(me(api, None))
    assert me(api, None).headers["www-authenticate"] == 'Bearer realm="verso"'


@pytest.mark.parametrize(
    "field",
    ["", "Bearer", "Basic dXNlcjpwYXNz", "Bearer x", "Bearer a.b.c", "Bearer ....", "Bearer é.ü.ñ", "token"],
)
def test_what_is_no_token_is_refused(api: Api, field: str) -> None:
    assert refused(me(api, field.encode("latin-1")))


def test_a_token_is_not_longer_than_a_token(api: Api) -> None:
    assert refused(me(api, "Bearer " + "x" * 20_000))


def test_the_scheme_has_no_case(api: Api, people) -> None:
    assert me(api, f"bEaReR {people.reader.token}").status_code == 200


def test_a_changed_token_is_refused(api: Api, people) -> None:
    header, payload, signature = people.reader.token.split(".")
    claims = claims_of(people.reader.token)
    assert refused(me(api, f"Bearer {header}.{encoded({**claims, 'sub': people.owner.id})}.{signature}"))
    assert refused(me(api, f"Bearer {header}.{payload}.{signature[:-6]}AAAAAA"))
    assert refused(me(api, f"Bearer {header}.{payload}."))
    answer = me(api, f"Bearer {header}.{payload}")
    assert refused(answer)
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_an_unsigned_token_is_refused(api: Api, people) -> None:
    claims = encoded(claims_of(people.owner.token))
    for alg in ("none", "None", "NONE", "", None):
        assert refused(me(api, f"Bearer {encoded({'alg': alg, 'typ': 'JWT'})}.{claims}."))


def test_a_token_signed_with_the_published_key_as_a_secret_is_refused(api: Api, stack: Stack, people) -> None:
    key = jwt.PyJWK(stack.jwks["keys"][0])
    pem = key.key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    raw = json.dumps(stack.jwks["keys"][0]).encode()
    payload = encoded(claims_of(people.owner.token))
    for kid in (key.key_id, None):
        for secret in (pem, raw, b""):
            header = encoded({"alg": "HS256", "typ": "JWT", "kid": kid})
            signature = hmac.new(secret, f"{header}.{payload}".encode(), hashlib.sha256).digest()
            assert refused(me(api, f"Bearer {header}.{payload}.{encoded(signature)}"))


def test_a_token_of_another_key_is_refused_whatever_kid_it_names(api: Api, stack: Stack, people) -> None:
    mine = ec.generate_private_key(ec.SECP256R1())
    claims = claims_of(people.owner.token)
    for kid in (stack.jwks["keys"][0]["kid"], "unknown", "../../etc/passwd", "x' or '1'='1", None):
        headers = {} if kid is None else {"kid": kid}
        assert refused(me(api, f"Bearer {jwt.encode(claims, mine, algorithm='ES256', headers=headers)}"))
    header = {"alg": "RS256", "kid": stack.jwks["keys"][0]["kid"]}
    assert refused(me(api, f"Bearer {encoded(header)}.{encoded(claims)}.{encoded(b'x' * 64)}"))
    embedded = {"alg": "ES256", "jwk": json.loads(jwt.algorithms.ECAlgorithm.to_jwk(mine.public_key()))}
    assert refused(me(api, f"Bearer {jwt.encode(claims, mine, algorithm='ES256', headers=embedded)}"))


def test_invented_key_ids_do_not_make_the_service_ask_for_keys_again_and_again(api: Api, people) -> None:
    pattern = r"verso_supabase_requests_total\{service=\"auth\"\}"
    before = api.metric(pattern)
    for n in range(30):
        header = encoded({"alg": "ES256", "kid": f"invented-{n}"})
        assert refused(
            me(api, f"Bearer {header}.{encoded(claims_of(people.owner.token))}.{encoded(b'x' * 64)}")
        )
    assert api.metric(pattern) - before <= 2


@pytest.mark.parametrize(
    "changed",
    [
        {"exp": int(time.time()) - 60},
        {"exp": None},
        {"aud": "another"},
        {"aud": None},
        {"iss": "https://evil.example/auth/v1"},
        {"iss": None},
        {"sub": None},
        {"sub": 7},
        {"role": "service_role"},
        {"role": "anon"},
        {"role": None},
        {"nbf": int(time.time()) + 3600},
    ],
)
def test_a_rightly_signed_token_that_is_not_a_signed_in_persons_here_is_refused(
    api: Api, stack: Stack, people, changed: dict[str, Any]
) -> None:
    assert refused(me(api, f"Bearer {signed(stack, {**claims_of(people.owner.token), **changed})}"))


def signed(stack: Stack, claims: dict[str, Any]) -> str:
    """A token with the embedded Auth's own key, as only Auth could sign it."""
    from app.local.keys import Keys  # noqa: PLC0415 - this one attack needs the private key

    return Keys.load(stack.data).sign({name: value for name, value in claims.items() if value is not None})


def test_keys_are_no_tokens(api: Api, stack: Stack) -> None:
    for key in (stack.publishable_key, stack.secret_key, stack.anon_key, stack.service_role_key):
        assert refused(me(api, f"Bearer {key}"))
        with_key = httpx.get(f"{api.url}/v1/me", headers={"apikey": key}, trust_env=False)
        assert refused(with_key)


def test_a_deleted_account_sees_and_writes_nothing(
    api: Api, stack: Stack, contract: Contract, project: Project
) -> None:
    with Person(api, sign_in(stack, "leaver"), contract) as leaver:
        project.people.owner.put(
            f"{project.url}/members/{leaver.id}", json={"role": "editor"}
        ).raise_for_status()
        assert project.put("a", "1", by=leaver).status_code == 201
        httpx.delete(
            f"{stack.supabase_url}/auth/v1/admin/users/{leaver.id}", headers={"apikey": stack.secret_key}
        ).raise_for_status()
        assert project.put("b", "1", by=leaver).status_code in {401, 403, 404}
        assert leaver.get("/v1/me").status_code in {401, 403}
        assert leaver.post("/v1/projects", json={"slug": "x"}).status_code in {401, 403}
    assert project.people.reader.get(project.file("a")).text == "1", "what they wrote stays"


# Other tenants -------------------------------------------------------------------------------------

PARAMETERS = re.compile(r"\{(\w+)\}")
BODIES: dict[str, Any] = {
    "update_project": {"name": "x"},
    "set_member": {"role": "reader"},
    "create_session": {"slug": "x"},
    "update_session": {"title": "x"},
    "post_change": {"items": [{"path": "x", "text": "1"}]},
    "edit_document": {"path": "x"},
    "restore_document": {"version": 1},
    "create_tag": {"name": "x"},
    "restore_project": {"at": "1"},
    "create_webhook": {"url": "https://example.com/hook"},
    "update_webhook": {"state": "paused"},
    "rotate_webhook": {},
    "replay_webhook": {"first": 1},
}
QUERIES: dict[str, dict[str, str]] = {"preview_erasure": {"sha256": "f" * 64}}
"""What a route needs besides what it says that it needs."""


def filled(template: str, ids: dict[str, str]) -> str:
    return PARAMETERS.sub(lambda found: ids[found[1]], template)


def test_another_tenants_ids_answer_as_ids_of_nothing_on_every_route(
    project: Project, contract: Contract, api: Api
) -> None:
    """Every route of the OpenAPI document, so one that is added later is covered."""
    one = project.written("sessions/s/specs/spec.md", "secret content")
    project.written("sessions/s/specs/spec.md", "secret content 2", base=one["hash"])
    made = project.people.editor.post(f"{project.url}/sessions", json={"slug": "s"}).json()
    project.people.editor.post(f"{project.url}/tags", json={"name": "t"}).raise_for_status()
    theirs = {
        "project": project.id,
        "document": one["document"],
        "session": made["id"],
        "path": "sessions/s/specs/spec.md",
        "person": project.people.owner.id,
        "sequence": "1",
        "number": "1",
        "version": one["hash"],
    }
    nothing = {
        **theirs,
        "project": str(uuid.uuid4()),
        "document": str(uuid.uuid4()),
        "session": str(uuid.uuid4()),
        "person": str(uuid.uuid4()),
        "version": "f" * 64,
    }
    outsider = project.people.outsider
    asked = 0
    for template, item in contract.document["paths"].items():
        if not set(PARAMETERS.findall(template)) - {"code"}:
            continue
        for method, operation in item.items():
            answers = []
            for known in (theirs, nothing):
                ids = {name: known.get(name, nothing["document"]) for name in PARAMETERS.findall(template)}
                headers = {"If-Match": f'"{one["hash"]}"'}
                kind = {} if method in {"get", "head"} else {"json": BODIES.get(operation["operationId"], {})}
                query = {"from": "1", "to": "1", "at": "1"} if method == "get" else {}
                needed = (
                    each for each in operation["parameters"] if each["in"] == "query" and each["required"]
                )
                query = {each["name"]: "x" for each in needed} | query
                query |= QUERIES.get(operation["operationId"], {})
                for each in operation["parameters"]:
                    if each["name"] in query and "'date'" in str(each["schema"]):
                        query[each["name"]] = "2026-03-02"
                answers.append(
                    outsider.request(method, filled(template, ids), headers=headers, params=query, **kind)
                )
            asked += 1
            told = [(answer.status_code, neutral(answer)) for answer in answers]
            assert told[0] == told[1], (method, template)
            assert "secret" not in answers[0].text
            assert not answers[0].is_success, (method, template)
            if operation["operationId"] in BODIES or method in {"get", "head", "delete"}:
                assert answers[0].status_code == 404, (method, template, answers[0].text)
    assert asked > 25
    assert len(project.history(one["document"])) == 2


def neutral(answer: httpx.Response) -> Any:
    """An answer without what belongs to the request: its id, and the ids that were asked for."""
    headers = {name: value for name, value in answer.headers.items() if name not in {"date", "x-request-id"}}
    if not answer.content:
        return headers, None
    problem = answer.json()
    problem.pop("request_id")
    return headers, problem


def test_another_tenants_content_is_not_to_be_had_by_its_hash(project: Project, people) -> None:
    """The same bytes in a project of one's own give no way to someone else's versions."""
    version = project.written("a", "content of theirs")
    slug = f"mine-{uuid.uuid4().hex[:8]}"
    mine = people.outsider.post("/v1/projects", json={"slug": slug}).json()["id"]
    base = f"/v1/projects/{mine}"
    people.outsider.put(f"{base}/files/a", content=b"content of mine").raise_for_status()
    for at in (version["hash"], version["change"]["hash"]):
        answer = people.outsider.get(f"{base}/files/a", params={"at": at})
        assert (answer.status_code, code_of(answer)) == (404, "point_not_found")
    document = {"document": version["document"], "base": version["hash"]}
    for item in ({**document, "path": "b"}, {**document, "delete": True}, {**document, "restore": 1}):
        answer = people.outsider.post(f"{base}/changes", json={"items": [item]})
        assert (answer.status_code, code_of(answer)) == (404, "document_not_found")
