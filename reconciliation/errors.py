"""What a person can be told about a reconciliation that cannot go on."""

from collections.abc import Mapping


class ReconciliationError(Exception):
    """The text is a sentence for the person who must act."""


class IncompleteRead(ReconciliationError):
    """A read that failed, was cut short or contradicts itself. It proves nothing and changes nothing."""


class WrongAccount(IncompleteRead):
    """The key pair opens another account than the one these books belong to.

    `seen`: which account answers, as account_id and account_number; empty if that is not known.
    """

    def __init__(self, sentence: str, *, seen: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.seen = dict(seen or {})


class AccountReset(WrongAccount):
    """The account was re-made at Alpaca: new identity, empty history."""


class RunInProgress(ReconciliationError):
    """Another process is reconciling this account now."""


class FixRefused(ReconciliationError):
    """A fix cannot be approved, applied or undone in its present state."""


class NeedsOverride(FixRefused):
    """It may be approved, but only with a reason; `typed` must be typed, too, where it is not empty."""

    def __init__(self, sentence: str, *, typed: str = "") -> None:
        super().__init__(sentence)
        self.typed = typed
