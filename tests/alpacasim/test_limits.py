"""The rate limit and its headers."""

from collections.abc import Callable

from alpacasim.limits import RateLimit

from .conftest import Sim


def test_the_allowance_is_told_and_ends(serve: Callable[..., Sim]) -> None:
    sim = serve(rate_limit=3)
    answers = [sim.api("GET", "/v2/clock") for _ in range(4)]
    told = [(a.status_code, a.headers["X-RateLimit-Remaining"]) for a in answers]
    assert told == [(200, "2"), (200, "1"), (200, "0"), (429, "0")]
    assert answers[3].json() == {"code": 42910000, "message": "rate limit exceeded"}
    assert {a.headers["X-RateLimit-Limit"] for a in answers} == {"3"}
    other = sim.api("GET", "/v2/clock", headers={"APCA-API-KEY-ID": "other"})
    assert other.status_code == 200, "every key has an allowance of its own"
    assert sim.act("config", rate_limit=0)["rate_limit"] == 0
    assert sim.api("GET", "/v2/clock").status_code == 200


def test_a_new_minute_brings_a_new_allowance() -> None:
    now = [120.0]
    limit = RateLimit(2, lambda: now[0])
    assert [limit.take("k", "trading") for _ in range(3)] == [True, True, False]
    assert limit.headers("k", "trading")["X-RateLimit-Reset"] == "180"
    now[0] = 180.0
    assert limit.headers("k", "trading")["X-RateLimit-Remaining"] == "2"
    assert limit.take("k", "trading")


def test_market_data_has_an_allowance_of_its_own(serve: Callable[..., Sim]) -> None:
    sim = serve(rate_limit=1)
    path = "/v2/stocks/trades/latest?symbols=AAPL"
    statuses = [sim.api("GET", asked).status_code for asked in (path, "/v2/clock", path, "/v2/clock")]
    assert statuses == [200, 200, 429, 429]
