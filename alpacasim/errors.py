"""Refusals of the venue: the HTTP status and the JSON body that Alpaca gives for each."""

from typing import Any

MALFORMED = 40010001
FORBIDDEN = 40310000
NOT_FOUND = 40410000
UNPROCESSABLE = 42210000
TOO_MANY = 42910000


class VenueError(Exception):
    """A request that the venue refuses."""

    def __init__(self, status: int, code: int | None, message: str, **extra: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {**extra, "message": message}
        if code is not None:
            self.body["code"] = code


def malformed(message: str) -> VenueError:
    return VenueError(422, MALFORMED, message)


def unprocessable(message: str, **extra: Any) -> VenueError:
    return VenueError(422, UNPROCESSABLE, message, **extra)


def forbidden(message: str, **extra: Any) -> VenueError:
    return VenueError(403, FORBIDDEN, message, **extra)


def not_found(message: str) -> VenueError:
    return VenueError(404, NOT_FOUND, message)


def unauthorized() -> VenueError:
    # Alpaca's 401 carries no code, which breaks clients that expect one.
    return VenueError(401, None, "unauthorized.")


def too_many_requests() -> VenueError:
    return VenueError(429, TOO_MANY, "rate limit exceeded")


def insufficient_qty(symbol: str, requested: str, available: str, existing: str, held: str) -> VenueError:
    return forbidden(
        f"insufficient qty available for order (requested: {requested}, available: {available})",
        available=available,
        existing_qty=existing,
        held_for_orders=held,
        symbol=symbol,
    )


def wash_trade(existing_order_id: str, kind: str) -> VenueError:
    return forbidden(
        "potential wash trade detected. use complex orders",
        existing_order_id=existing_order_id,
        reject_reason=f"opposite side {kind} order exists",
    )
