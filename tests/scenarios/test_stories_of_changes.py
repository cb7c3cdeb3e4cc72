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
    assert survives(10)["stop in the books"] == "held at 92"


def test_story_11_what_a_person_closes_by_hand_is_told_as_what_it_was(survives: Survives) -> None:
    figures = survives(11)
    assert figures["origin of the sale"] == "external"
    assert figures["profit of the half"] == "75"


def test_story_12_stop_for_too_many_shares_or_for_none_is_put_right_once(survives: Survives) -> None:
    figures = survives(12)
    assert (figures["changes sent"], figures["cancels sent"]) == ("1", "1")


def test_story_13_split_changes_shares_prices_and_stop_together(survives: Survives) -> None:
    assert survives(13)["planned stop"] == "92 → 9.2"
