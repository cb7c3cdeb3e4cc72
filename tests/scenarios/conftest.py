"""A stage for the stories: books in real SQLite rows, the real simulator over HTTP, and one person's pages."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client

from broker.models import Account
from gameday.stage import Stage, play
from gameday.stories import story
from gameday.venue import Venue
from tests.reconciliation.steps import open_books
from tests.simulation import SimAccount


class PagesOfClient:
    def __init__(self, client: Client) -> None:
        self._client = client

    def read(self, path: str) -> str:
        answer = self._client.get(path)
        assert answer.status_code == 200, path
        return answer.content.decode()


@pytest.fixture
def stage(sim_account: Account, sim: SimAccount, people: SimpleNamespace, client: Client, settings: Any) -> Stage:
    settings.QUIET_PERIOD_SECONDS = 0
    open_books(sim_account)
    client.force_login(people.ops)
    venue = Venue(sim.url, sim.key_id)
    return Stage(account=sim_account, venue=venue, pages=PagesOfClient(client), tell=print)


@pytest.fixture
def survives(stage: Stage) -> Callable[[int], dict[str, str]]:
    """Play the story of that number; fail with what did not hold."""

    def run(number: int) -> dict[str, str]:
        outcome = play(story(number), stage)
        assert outcome.survived, f"{outcome.story.title}: {outcome.failure}"
        return outcome.figures

    return run
