"""Stories of orders and shares that turned into something else."""

from collections.abc import Callable

import pytest

pytestmark = pytest.mark.django_db(transaction=True)

Survives = Callable[[int], dict[str, str]]


def test_story_09_replaced_order_is_followed_to_its_new_id(survives: Survives) -> None:
    figures = survives(9)
    assert figures["replacements followed"] == "2"
    assert "rejected" in figures["refused replacement"]


def test_story_10_stop_that_waits_is_seen_though_no_list_shows_it(survives: Survives) -> None:
    assert "stop in the books" in survives(10)


def test_story_11_what_a_person_closes_by_hand_is_told_as_what_it_was(survives: Survives) -> None:
    assert "origin of the sale" in survives(11)


def test_story_12_stop_that_guards_nothing_is_found_and_cancelled_once(survives: Survives) -> None:
    assert "cancels sent" in survives(12)


def test_story_13_split_changes_shares_prices_and_stop_together(survives: Survives) -> None:
    assert "stop" in survives(13)
