"""What a story is: something is arranged, something goes wrong, and something must hold in the end."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from gameday.stage import Stage


class NotSurvived(Exception):
    """What a story demands does not hold; the text says what."""


class Story(ABC):
    """One failure story. The same object is played by a test and in front of a person."""

    number: ClassVar[int]
    title: ClassVar[str]
    #: What happened to others, in a sentence.
    harm: ClassVar[str]

    @abstractmethod
    def arrange(self, stage: "Stage") -> None:
        """Make the sound state in which it begins."""

    @abstractmethod
    def act(self, stage: "Stage") -> None:
        """Do to the broker, or to the books, what goes wrong."""

    @abstractmethod
    def expect(self, stage: "Stage") -> None:
        """Let the software work, and demand what must hold; NotSurvived otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    story: Story
    survived: bool
    seconds: float
    figures: dict[str, str]
    failure: str = ""
