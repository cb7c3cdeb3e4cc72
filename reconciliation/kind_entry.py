"""What people are told about one kind of difference. Pure."""

from dataclasses import dataclass

#: How the fixes of most kinds are proven and taken back.
READ_AGAIN = "A read after it must no longer show the difference; else the fix is called not verified."
PUT_BACK = "Undo puts rows, fills and positions back exactly as they were, while nothing was built on them."
NOTHING_DONE = "Nothing is written, so nothing is to be undone."
GOES_AWAY = "It goes away with the next run that no longer shows it."


@dataclass(frozen=True, slots=True, kw_only=True)
class KindEntry:
    """`fix` says what the proposed repair does; where there is none it is empty, and `no_fix` says why."""

    detected: str
    fix: str = ""
    no_fix: str = ""  # beside a fix: when none is proposed
    at_broker: bool = False  # a repair of it sends, changes or cancels an order
    verified: str = READ_AGAIN
    undone: str = PUT_BACK
