"""Tell each story while it is played, and the verdict of all of them. Needs a Django that is set up."""

import sys
import time
from collections.abc import Collection

from django.conf import settings

from broker.accounts import default_account
from gameday.demo import PagesOfDemo, RunningDemo
from gameday.stage import PERSON, Stage, play
from gameday.stories import STORIES
from gameday.story import Outcome, Story
from gameday.venue import Venue

RULE = "─" * 100
#: The demo's is for people who watch; a story looks many times.
QUIET_SECONDS = 0.2


def say(text: str) -> None:
    print(text, flush=True)


class Playing:
    def __init__(self, demo: RunningDemo, *, pause: float | None, waits: bool) -> None:
        settings.QUIET_PERIOD_SECONDS = min(settings.QUIET_PERIOD_SECONDS, QUIET_SECONDS)
        self._pause, self._waits = pause, waits
        self._stage = Stage(
            account=default_account(),
            venue=Venue(demo.simulator_url, settings.ALPACA_API_KEY or "sim"),
            pages=PagesOfDemo(demo, PERSON),
            tell=say,
        )
        say(f"\nWatch the pages at {demo.url}/ (as {PERSON}, password {demo.password_of(PERSON)}).")

    def play(self, only: Collection[int]) -> int:
        """Return the exit status: 0 if all of them survived."""
        with self._stage.venue.unhurried():
            self._begin_sound()
            return self._verdict(self._play([story for story in STORIES if not only or story.number in only]))

    def _play(self, chosen: list[Story]) -> list[Outcome]:
        outcomes = []
        for story in chosen:
            self._announce(story)
            outcomes.append(play(story, self._stage))
            self._conclude(outcomes[-1])
            if story is not chosen[-1]:
                self._wait()
        return outcomes

    def _begin_sound(self) -> None:
        """The demo begins on the day of the incident: its drift is repaired first, as a person would."""
        say(f"{RULE}\nBefore the first story: what is open is repaired")
        self._stage.venue.heal()
        if self._stage.reconcile()["state"] != "in_sync":
            self._stage.backfill()
            self._stage.reconcile()

    def _announce(self, story: Story) -> None:
        say(f"{RULE}\n{story.number:2}  {story.title}\n    Elsewhere: {story.harm}")

    def _conclude(self, outcome: Outcome) -> None:
        figures = ", ".join(f"{name}: {value}" for name, value in outcome.figures.items())
        verdict = "SURVIVED" if outcome.survived else f"NOT SURVIVED: {outcome.failure}"
        say(f"  verdict   {verdict} in {outcome.seconds:.1f} s. {figures}".rstrip())

    def _wait(self) -> None:
        if self._pause is not None:
            time.sleep(self._pause)
        elif self._waits and sys.stdin.isatty():
            input("  Enter for the next story … ")

    def _verdict(self, outcomes: list[Outcome]) -> int:
        say(RULE)
        for outcome in outcomes:
            word = "survived" if outcome.survived else "NOT SURVIVED"
            say(f"{outcome.story.number:2}  {word:12} {outcome.seconds:6.1f} s  {outcome.story.title}")
        lost = [outcome for outcome in outcomes if not outcome.survived]
        say(f"{len(outcomes) - len(lost)} of {len(outcomes)} survived.")
        return 1 if lost else 0
