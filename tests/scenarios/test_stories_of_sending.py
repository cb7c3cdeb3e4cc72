"""Stories of orders whose fate was not known, or was known wrongly."""

from collections.abc import Callable

import pytest

pytestmark = pytest.mark.django_db(transaction=True)

Survives = Callable[[int], dict[str, str]]


def test_story_02_lost_answer_is_neither_a_lost_order_nor_a_second_one(survives: Survives) -> None:
    figures = survives(2)
    assert (figures["times sent"], figures["failed look-ups"]) == ("1", "6")


def test_story_03_doing_it_three_times_is_doing_it_once(survives: Survives) -> None:
    assert "fills booked" in survives(3)


def test_story_06_order_that_is_alive_is_not_done_because_the_books_say_so(survives: Survives) -> None:
    assert "open orders left" in survives(6)
