"""What a client is told before anybody has signed in."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import httpx

from tests.api.world import Api, Contract

if TYPE_CHECKING:
    import pytest

    from tests.stack import Stack


def test_the_address_of_the_service_is_all_that_a_client_is_given(
    api: Api, stack: Stack, contract: Contract
) -> None:
    answer = httpx.get(f"{api.url}/v1/sign-in", trust_env=False)
    contract.check(answer)
    assert answer.json() == {
        "supabase_url": stack.supabase_url,
        "publishable_key": stack.publishable_key,
    }
    assert "public" in answer.headers["cache-control"]
    assert contract.operation("GET", "/v1/sign-in")["security"] == []  # type: ignore[index]


def test_clients_may_know_supabase_by_another_name_than_the_service(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPABASE_PUBLIC_URL", "https://auth.example.com/")
    with Api(stack) as api:
        told = httpx.get(f"{api.url}/v1/sign-in", trust_env=False).json()
    shutil.rmtree(api.directory)
    assert told["supabase_url"] == "https://auth.example.com"
