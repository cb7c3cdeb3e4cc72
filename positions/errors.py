"""What can be refused here. Every text is a sentence for the person who asked."""


class PositionError(Exception):
    """Nothing was changed."""


class InvalidParameters(PositionError):
    """A percentage that cannot be one. `field` names it."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


class EffectsMoved(PositionError):
    """The open positions are no longer those that were shown before the change was confirmed."""


class InvalidAdjustment(PositionError):
    """An entry that the ledger cannot hold. `field` names what is wrong with it."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field
