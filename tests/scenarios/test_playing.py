"""A story that is not survived says so, and leaves no fault behind."""

import pytest

from gameday.stage import Stage, play
from gameday.story import Story
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db(transaction=True)


class Lost(Story):
    number = 1
    title = "Lost"
    harm = "Nothing."

    def arrange(self, stage: Stage) -> None:
        stage.venue.fault("status", "GET", "/v2/positions")

    def act(self, stage: Stage) -> None:
        stage.figure("tries", 1)

    def expect(self, stage: Stage) -> None:
        stage.demand(stage.reconcile()["state"] == "in_sync", "a run without positions is in sync")


class Broken(Lost):
    def act(self, stage: Stage) -> None:
        raise ValueError("a fault of the story itself")


@pytest.mark.parametrize(
    ("story", "failure"),
    [(Lost(), "a run without positions is in sync"), (Broken(), "ValueError: a fault of the story itself")],
)
def test_what_is_not_survived_is_said_and_healed(stage: Stage, sim: SimAccount, story: Story, failure: str) -> None:
    outcome = play(story, stage)
    assert (outcome.survived, outcome.failure) == (False, failure)
    assert stage.venue.requests("GET", "/v2/positions") or story.__class__ is Broken
    assert sim.simulator.admin("faults") == []
    assert stage.reconcile()["state"] == "in_sync"
