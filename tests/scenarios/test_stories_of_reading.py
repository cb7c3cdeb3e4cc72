"""Stories of answers that prove nothing, each with its damage and its cure."""

from collections.abc import Callable

import pytest

pytestmark = pytest.mark.django_db(transaction=True)

Survives = Callable[[int], dict[str, str]]


def test_story_01_failed_or_empty_read_is_not_a_flat_account(survives: Survives) -> None:
    assert survives(1)["bad answers not believed"] == "6 of 6"


def test_story_04_history_cut_short_takes_nothing_out_of_the_books(survives: Survives) -> None:
    assert "orders kept" in survives(4)


def test_story_14_repair_counts_only_when_a_fresh_look_confirms_it(survives: Survives) -> None:
    assert "looks that failed" in survives(14)
