"""Walking pages gives every row exactly once, also where many rows share one instant."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alpacasim.activities import Activity, ActivityBook
from alpacasim.index import SortedIndex, walk
from alpacasim.times import parse_instant

from .conftest import Sim

INSTANT = "2025-11-06T13:00:{:02d}.{:09d}Z"

# Seconds of submission, so few that ties are the rule.
SUBMISSIONS = st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0, 1, 999_999_999])), min_size=1, max_size=25)


def scenario(times: list[tuple[int, int]]) -> dict[str, Any]:
    orders = [
        {
            "symbol": ("AAPL", "KO", "F")[n % 3], "side": ("buy", "sell")[n % 2], "qty": "1", "type": "limit",
            "limit_price": "1", "filled_avg_price": "10", "status": ("filled", "canceled")[n % 4 == 3],
            "submitted_at": INSTANT.format(*at), "client_order_id": f"c{n}",
        }
        for n, at in enumerate(times)
    ]  # fmt: skip
    return {"accounts": {"sim": {"orders": orders}}}


@pytest.fixture(scope="module")
def shared() -> Iterator[Sim]:
    from alpacasim.server import run_in_thread

    with run_in_thread(rate_limit=0) as running:
        yield Sim(running)


def load(sim: Sim, times: list[tuple[int, int]]) -> list[dict[str, Any]]:
    sim.control("POST", "state", **scenario(times))
    return sim.api("GET", "/v2/orders?status=all&limit=500&direction=asc").json()


def pages(sim: Sim, path: str, size: str, cursor: str, limit: int, **query: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    while True:
        answer = sim.api("GET", path, params=query | {size: limit} | ({cursor: rows[-1]["id"]} if rows else {}))
        assert answer.status_code == 200, answer.text
        rows += answer.json()
        if len(answer.json()) < limit:
            return rows


SLOW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SLOW
@given(times=SUBMISSIONS, limit=st.integers(1, 26))
def test_order_pages_by_id_hold_every_order_once(shared: Sim, times: list[tuple[int, int]], limit: int) -> None:
    every = load(shared, times)
    # Trimmed fractions do not sort as text, so they are compared as instants.
    instants = [parse_instant(order["submitted_at"]) for order in every]
    assert instants == sorted(instants)
    assert len(every) == len(times)
    ids = [order["id"] for order in every]
    forward = pages(shared, "/v2/orders", "limit", "after_order_id", limit, status="all", direction="asc")
    assert [order["id"] for order in forward] == ids
    backward = pages(shared, "/v2/orders", "limit", "before_order_id", limit, status="all", direction="desc")
    assert [order["id"] for order in backward] == ids[::-1]


@SLOW
@given(times=SUBMISSIONS, limit=st.integers(1, 26))
def test_activity_pages_hold_every_activity_once(shared: Sim, times: list[tuple[int, int]], limit: int) -> None:
    load(shared, times)
    path = "/v2/account/activities"
    every = [row["id"] for row in shared.api("GET", f"{path}?direction=asc").json()]
    for direction, expected in (("asc", every), ("desc", every[::-1])):
        rows = pages(shared, path, "page_size", "page_token", limit, direction=direction)
        assert [row["id"] for row in rows] == expected
    filled = sum(1 for n in range(len(times)) if n % 4 != 3)
    assert len(every) == filled


@SLOW
@given(times=SUBMISSIONS, at=st.integers(0, 24))
def test_after_and_until_leave_out_every_order_of_their_instant(
    shared: Sim, times: list[tuple[int, int]], at: int
) -> None:
    every = load(shared, times)
    bound = every[at % len(every)]["submitted_at"]
    limit = parse_instant(bound)
    for name, wanted in (("after", lambda t: t > limit), ("until", lambda t: t < limit)):
        rows = shared.api("GET", "/v2/orders", params={"status": "all", "limit": 500, name: bound}).json()
        assert [r["id"] for r in rows] == [o["id"] for o in reversed(every) if wanted(parse_instant(o["submitted_at"]))]


KEYS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 50)), unique=True, max_size=40)


@given(keys=KEYS, after=st.tuples(st.integers(0, 5), st.integers(0, 50)) | st.none(), split=st.integers(1, 4))
def test_several_indexes_walk_as_one(keys: list[tuple[int, int]], after: tuple[int, int] | None, split: int) -> None:
    indexes = [SortedIndex() for _ in range(split)]
    for n, key in enumerate(keys):
        indexes[n % split].add(key, f"{key}")
    expected = sorted(key for key in keys if after is None or key > after)
    assert list(walk(indexes, after=after, ascending=True)) == [f"{key}" for key in expected]
    assert list(walk(indexes, after=after, ascending=False)) == [f"{key}" for key in reversed(expected)]


def test_a_page_of_a_long_list_does_not_walk_the_list() -> None:
    book = ActivityBook()
    for n in range(20_000):
        book.add(Activity(n, n, {"id": f"{n}", "activity_type": "FILL", "order_id": "o"}))
    walked = book.select(after=(19_990, 2**62), ascending=True)
    assert [activity.id for activity in walked] == [f"{n}" for n in range(19_991, 20_000)]


def test_filters_of_the_order_list(shared: Sim) -> None:
    load(shared, [(n % 3, 0) for n in range(12)])

    def listed(**query: Any) -> list[str]:
        rows = shared.api("GET", "/v2/orders", params={"direction": "asc", "limit": 500, **query}).json()
        return sorted((row["client_order_id"] for row in rows), key=lambda c: int(c[1:]))

    assert listed() == [], "open is the default"
    assert listed(status="closed") == [f"c{n}" for n in range(12)]
    assert listed(status="all", symbols="AAPL") == ["c0", "c3", "c6", "c9"]
    assert listed(status="all", symbols="AAPL,F,NOSUCH") == ["c0", "c2", "c3", "c5", "c6", "c8", "c9", "c11"]
    assert listed(status="all", side="sell") == ["c1", "c3", "c5", "c7", "c9", "c11"]
    assert listed(status="all", asset_class="crypto") == []
    assert len(listed(status="all", asset_class="us_equity,crypto")) == 12


@pytest.mark.parametrize(
    "query",
    ["status=shut", "limit=0", "limit=few", "direction=up", "after=today", "after=2025-11-06T08:00:00",
     "after_order_id=nobody",
     "after_order_id=a&before_order_id=b", "after_order_id=a&until=2025-11-06", "nested=maybe"],
)  # fmt: skip
def test_a_query_that_makes_no_sense_is_refused(shared: Sim, query: str) -> None:
    answer = shared.api("GET", f"/v2/orders?{query}")
    assert answer.status_code == 422
    assert answer.json()["message"]


def test_the_limit_is_50_by_default_and_500_at_most(serve: Callable[..., Sim]) -> None:
    sim = serve()
    load(sim, [(n % 4, n // 4) for n in range(501)])
    assert len(sim.api("GET", "/v2/orders?status=all").json()) == 50
    assert len(sim.api("GET", "/v2/orders?status=all&limit=5000").json()) == 500


@pytest.mark.parametrize("flag", ["true", "True", "TRUE", "1", "t"])
def test_every_spelling_of_true_that_clients_send(shared: Sim, flag: str) -> None:
    assert shared.api("GET", f"/v2/orders?nested={flag}").status_code == 200
