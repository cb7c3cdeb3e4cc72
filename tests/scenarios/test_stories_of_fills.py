"""Stories of executions that were lost, counted twice, or priced by a guess."""

from collections.abc import Callable

import pytest

pytestmark = pytest.mark.django_db(transaction=True)

Survives = Callable[[int], dict[str, str]]


def test_story_05_guess_steps_aside_when_the_true_fill_comes(survives: Survives) -> None:
    assert "average" in survives(5)


def test_story_07_stream_that_falls_silent_loses_no_fill(survives: Survives) -> None:
    assert survives(7)["fills booked once each"] == "3"


def test_story_08_partial_fills_add_up_whichever_was_missed(survives: Survives) -> None:
    assert survives(8)["fills"] == "3, together 10"


def test_story_15_exit_has_the_price_that_was_paid_or_none(survives: Survives) -> None:
    figures = survives(15)
    assert figures["profit"] == "125"
    assert "needs a value" in figures["exit that nobody knows"]
