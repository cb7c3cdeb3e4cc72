"""What can go wrong at the broker, by what it means for the person or program that must act."""


class BrokerError(Exception):
    """Any failure at the broker's door. The text is a sentence for people and holds no secret."""


class BrokerNotConfigured(BrokerError):
    """Credentials or the second switch for live money are missing: nothing was asked."""


class UnknownAccount(BrokerError):
    """There is no account of that name here."""


class BrokerUnavailable(BrokerError):
    """A read could not be completed: no connection, time-out, 5xx or an unreadable answer. It proves nothing."""

    #: The HTTP status of the last answer, if one came.
    status: int | None = None


class UnreadableAnswer(BrokerUnavailable):
    """An answer came, but it or one of its rows cannot be read, or it contradicts itself. It proves nothing."""


class NotSent(BrokerUnavailable):
    """No connection was made, so it is certain that the request did not leave. It may be made again later."""


class BrokerUnauthorized(BrokerError):
    """Alpaca does not accept the key pair."""


class RateLimited(BrokerError):
    """429, or our own budget is spent: the request was not accepted and may be made again after `retry_after`."""

    def __init__(self, text: str, *, retry_after: float) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class NotFound(BrokerError):
    """404: Alpaca does not know it now. For an order that was just sent, one 404 is not proof."""


class OrderRejected(BrokerError):
    """Alpaca refused the order (4xx with a readable body): it is certain that there is none."""

    def __init__(self, text: str, *, code: int | None = None) -> None:
        super().__init__(text)
        self.code = code


class CancelRejected(BrokerError):
    """Alpaca refused to cancel: the order is over, or cannot be cancelled now."""


class ReplaceRejected(BrokerError):
    """Alpaca refused to replace: the order stays as it is, or is over."""


class DuplicateClientOrderId(BrokerError):
    """Alpaca already has an order under this client_order_id: look it up."""


class OutcomeUnknown(BrokerError):
    """A write may or may not have been accepted. Never an answer to send again: look it up."""
