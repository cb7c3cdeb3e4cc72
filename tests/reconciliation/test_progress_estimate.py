"""What is left of long work: said where the last time tells, and never guessed."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from reconciliation.progress_estimate import Estimate, estimate_run, left_words, seconds_left
from tests.factories import make_account
from tests.reconciliation.rows import INDEX, make_run

EXPECTED = {"open_orders": 10, "orders": 500, "activities": 480, "positions": 10}


def test_rows_and_time_by_the_last_run() -> None:
    found = estimate_run({"open_orders": 10, "orders": 240, "step": "orders"}, expected=EXPECTED, took=12, elapsed=4)
    assert found == Estimate(rows=250, expected_rows=1000, seconds_left=8)
    assert found.words == "250 of about 1,000 rows; about 8 s left"


def test_the_first_run_cannot_be_estimated() -> None:
    found = estimate_run({"import orders": 1500}, expected={}, took=None, elapsed=3)
    assert found.words == "1,500 rows so far; the time left cannot be estimated: there is no earlier time to go by"


def test_more_rows_than_the_last_time_are_no_share_of_them() -> None:
    assert estimate_run({"orders": 501}, expected=EXPECTED, took=12, elapsed=4).expected_rows is None
    assert estimate_run({"import fills": 5}, expected=EXPECTED, took=12, elapsed=4).expected_rows is None
    assert estimate_run({"orders": 500}, expected=EXPECTED, took=12, elapsed=4).expected_rows == 1000


@pytest.mark.parametrize(
    ("took", "elapsed", "left"), [(10, 0, 10), (10, 9.9, 1), (10, 10, None), (10, 60, None), (None, 1, None)]
)
def test_seconds_left(took: float | None, elapsed: float, left: int | None) -> None:
    assert seconds_left(took, elapsed) == left


def test_what_takes_longer_says_so() -> None:
    found = estimate_run({"orders": 500}, expected=EXPECTED, took=10, elapsed=11)
    assert found.words.endswith("the time left cannot be estimated: it takes longer than the last time")
    assert left_words(125, is_late=False) == "about 2 min left"


@pytest.mark.django_db
def test_a_run_under_way_shows_rows_and_time_by_the_last_one_of_its_sort(client, people) -> None:
    client.force_login(people.ops)
    account, now = make_account("sim"), timezone.now()
    counts = {"orders": {"pages": 2, "rows": 512}, "positions": {"rows": 20}, "window": {}}
    make_run(
        account, started_at=now - timedelta(seconds=90), finished_at=now - timedelta(seconds=30), completeness=counts
    )
    make_run(account, is_full=True, started_at=now - timedelta(hours=1), finished_at=now, completeness=counts)
    run = make_run(
        account,
        state="running",
        started_at=now - timedelta(seconds=20),
        finished_at=None,
        progress={"orders": 500, "step": "orders"},
    )
    for path in (INDEX, run.get_absolute_url()):
        text = client.get(path).content.decode()
        assert re.search(r"Step 4 of 6. 500 of about 532 rows; about (40|39|38) s left", text)
        assert 'max="532" value="500"' in text


@pytest.mark.django_db
def test_a_run_without_an_earlier_one_says_that_nothing_can_be_estimated(client, people) -> None:
    client.force_login(people.ops)
    make_run(
        make_account("sim"),
        state="running",
        finished_at=None,
        progress={"import orders": 1500, "step": "import orders"},
    )
    text = client.get(INDEX).content.decode()
    assert "1,500 rows so far; the time left cannot be estimated: there is no earlier time to go by" in text
    assert 'max="6" value="1"' in text
