"""A walk over pages of activities loses no row, and notices when the pages contradict each other."""

from datetime import timedelta
from typing import Any

import pytest

from broker import times
from broker.errors import UnreadableAnswer
from broker.paging import ActivitiesWalk
from tests.broker.samples import START, STEP, fill_row, spelled


def activities(count: int) -> list[dict[str, Any]]:
    return [fill_row(id=f"2025110608{n:07d}::x", transaction_time=spelled(START + n * STEP)) for n in range(count)]


def walked(rows: list[dict[str, Any]], cut: Any = lambda number, rows: rows, limit: int = 3) -> ActivitiesWalk:
    calls = []

    def ask(parameters: dict[str, str]) -> list[Any]:
        calls.append(parameters)
        token = parameters.get("page_token")
        start = [row["id"] for row in rows].index(token) + 1 if token else 0
        return cut(len(calls), rows[start : start + limit])

    return ActivitiesWalk(ask=ask, now=lambda: times.from_nanoseconds(START + 10**9), parameters={}, limit=limit)


@pytest.mark.parametrize("count", range(8))
def test_every_activity_is_read_once(count: int) -> None:
    pages = list(walked(activities(count)).pages())
    assert [f.activity_id for page in pages for f in page.fills] == [row["id"] for row in activities(count)]
    assert [page.is_last for page in pages] == [False] * (len(pages) - 1) + [True]


@pytest.mark.parametrize("number", [1, 2])
def test_a_cut_page_of_activities_is_noticed(number: int) -> None:
    walk = walked(activities(7), cut=lambda n, rows: rows[:1] if n == number else rows)
    with pytest.raises(UnreadableAnswer, match="cut short"):
        list(walk.pages())


def test_a_repeated_page_of_activities_is_noticed() -> None:
    for first in (activities(3), [*activities(2), activities(1)[0]]):
        with pytest.raises(UnreadableAnswer, match="twice"):
            list(walked(activities(7), cut=lambda n, rows, first=first: first).pages())


def test_pages_that_go_round_in_a_circle_are_noticed() -> None:
    rows = activities(6)
    walk = walked(rows, cut=lambda n, _rows: rows[:3] if n % 2 else rows[3:])
    with pytest.raises(UnreadableAnswer, match="again"):
        list(walk.pages())


def test_an_activity_that_comes_while_the_end_is_proven_is_no_contradiction() -> None:
    late = fill_row(id="late", transaction_time=(times.from_nanoseconds(START) + timedelta(minutes=1)).isoformat())
    rows = activities(1)

    def book(number: int, page: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if number == 2:
            rows.append(late)
        return rows[1:] if number == 2 else page

    read = [f.activity_id for page in walked(rows, cut=book).pages() for f in page.fills]
    assert read == [activities(1)[0]["id"], "late"]
