"""The fifteen stories, in order."""

from gameday.change_stories import (
    ClosedByHandIsTold,
    ReplacedOrderIsFollowed,
    SplitMovesEverything,
)
from gameday.fill_stories import (
    ExitHasThePriceThatWasPaid,
    GuessAndTrueFillCountOnce,
    PartialFillsAddUp,
    SilentStreamLosesNothing,
)
from gameday.protection_stories import HeldStopIsSeen, OrphanStopIsFoundOnce
from gameday.reading_stories import (
    FailedReadIsNotFlat,
    RepairIsNotBelievedBeforeItIsSeen,
    TruncatedHistoryTakesNothingBack,
)
from gameday.sending_stories import LostAnswerIsNotLostOrder, OrderThatIsAliveIsNotDone, ThreeRunsChangeNothing
from gameday.story import Story

STORIES: tuple[Story, ...] = (
    FailedReadIsNotFlat(),
    LostAnswerIsNotLostOrder(),
    ThreeRunsChangeNothing(),
    TruncatedHistoryTakesNothingBack(),
    GuessAndTrueFillCountOnce(),
    OrderThatIsAliveIsNotDone(),
    SilentStreamLosesNothing(),
    PartialFillsAddUp(),
    ReplacedOrderIsFollowed(),
    HeldStopIsSeen(),
    ClosedByHandIsTold(),
    OrphanStopIsFoundOnce(),
    SplitMovesEverything(),
    RepairIsNotBelievedBeforeItIsSeen(),
    ExitHasThePriceThatWasPaid(),
)


def story(number: int) -> Story:
    return STORIES[number - 1]
