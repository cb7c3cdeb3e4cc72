"""What can be wrong with a request to record, release or halt orders. Each text is a sentence for people."""


class OrdersError(Exception):
    """Refused by our own rules: nothing was changed."""


class OrdersMissing(OrdersError):
    """Fills come before their orders: `broker_order_ids` must be taken into the books first."""

    def __init__(self, broker_order_ids: list[str]) -> None:
        super().__init__(f"Fills cannot be booked before their orders: {', '.join(broker_order_ids)}.")
        self.broker_order_ids = broker_order_ids


class BatchNotUsable(OrdersError):
    """The batch has errors, so nothing of it was recorded."""


class DuplicateBatch(OrdersError):
    """The same orders were recorded in the last day already."""


class AccountNotUsable(OrdersError):
    """The account is inactive: it is neither read nor traded."""


class WrongState(OrdersError):
    """The batch or account is no longer in a state in which this can be done."""


class ProtectionRefused(OrdersError):
    """A stop or target like this is not placed."""


class ChangeRefused(OrdersError):
    """A cancel or replacement like this is not recorded."""
