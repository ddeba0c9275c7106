"""Buckets and addresses: how much gets through in any time, and that nobody chooses whose address is counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.rates import Rate, client_address


def test_after_a_rest_there_is_a_burst_and_then_the_rate() -> None:
    rate = Rate(2, 3)
    assert [rate.take("a", 100.0) for _ in range(3)] == [0.0] * 3
    assert rate.take("a", 100.0) == pytest.approx(0.5)
    assert rate.take("a", 100.49) > 0
    assert rate.take("a", 100.51) == 0.0
    assert rate.take("b", 100.0) == 0.0, "each key has a bucket of its own"


def test_what_was_refused_costs_nothing() -> None:
    rate = Rate(1, 1)
    rate.take("a", 0.0)
    assert [rate.take("a", 0.5) for _ in range(100)] == [pytest.approx(0.5)] * 100
    assert rate.take("a", 1.0) == 0.0


def test_a_rate_of_nothing_refuses_nothing() -> None:
    rate = Rate(0, 1)
    assert not any(rate.take("a", 0.0) or rate.wait("a", 0.0) for _ in range(1000))


def test_memory_is_bounded_and_who_is_busy_stays_known() -> None:
    rate = Rate(0.001, 2, most_keys=10)
    for n in range(1000):
        rate.take("busy", 0.0)
        rate.take(f"stranger-{n}", 0.0)
        if n == 0:
            rate.take("busy", 0.0)
    assert len(rate) <= 10


@given(
    st.floats(0.1, 1000),
    st.integers(1, 50),
    st.lists(st.floats(0, 2), max_size=200),
)
def test_no_stretch_of_time_lets_more_through_than_burst_and_rate(
    per_second: float, burst: int, gaps: list[float]
) -> None:
    rate = Rate(per_second, burst)
    now, taken = 0.0, []
    for gap in gaps:
        now += gap
        if rate.take("a", now) == 0.0:
            taken.append(now)
    for first, begun in enumerate(taken):
        for last in range(first, len(taken)):
            assert last - first + 1 <= burst + (taken[last] - begun) * per_second + 1e-6


@pytest.mark.parametrize(
    ("forwarded", "hops", "address"),
    [
        ([], 0, "192.0.2.7"),
        ([b"198.51.100.1"], 0, "192.0.2.7"),
        ([b"198.51.100.1"], 1, "198.51.100.1"),
        ([b"203.0.113.9, 198.51.100.1"], 1, "198.51.100.1"),
        ([b"203.0.113.9", b"198.51.100.1"], 1, "198.51.100.1"),
        ([b"203.0.113.9, 198.51.100.1, 10.0.0.2"], 2, "198.51.100.1"),
        ([b"10.0.0.2"], 2, "192.0.2.7"),
        ([b"198.51.100.1, "], 1, "192.0.2.7"),
        ([b"203.0.113.9, <script>"], 1, "192.0.2.7"),
        ([b"198.51.100.1:4711"], 1, "198.51.100.1"),
        ([b"[2001:db8:1:2:3:4:5:6]:443"], 1, "2001:db8:1:2::/64"),
        ([b"2001:db8:1:2::9"], 1, "2001:db8:1:2::/64"),
        ([b"::ffff:198.51.100.1"], 1, "198.51.100.1"),
        ([], 1, "192.0.2.7"),
    ],
)
def test_the_address_is_the_one_that_our_outermost_proxy_saw(
    forwarded: list[bytes], hops: int, address: str
) -> None:
    assert client_address("192.0.2.7", forwarded, hops=hops) == address


@given(st.binary(max_size=200).map(lambda text: text.replace(b"\n", b"").replace(b"\r", b"")))
def test_what_a_client_sends_before_our_proxies_entry_never_counts(sent: bytes) -> None:
    assert client_address("10.0.0.1", [sent, b"198.51.100.1"], hops=1) == "198.51.100.1"
    assert client_address("10.0.0.1", [sent + b", 198.51.100.1"], hops=1) == "198.51.100.1"
    assert client_address("10.0.0.1", [sent], hops=0) == "10.0.0.1"


def test_a_connection_without_an_address_has_a_bucket_too() -> None:
    assert client_address("", [], hops=0) == ""
