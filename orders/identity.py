"""The ids under which our orders are known at Alpaca: made by us before sending, kept for life."""

import secrets

#: Every client_order_id that this program makes begins so; an id that does not is somebody else's order.
OWN_PREFIX = "ts-"
MAX_LENGTH = 48


def new_client_order_id(*, batch_id: int, line_number: int) -> str:
    """Return an id that says where the order came from; the random end keeps two installations apart."""
    return f"{OWN_PREFIX}{batch_id}-{line_number}-{secrets.token_hex(6)}"


def new_protection_id(*, wanted_for: str) -> str:
    """Return the id of an order that came in no batch: `wanted_for` ("fix:12") stays readable in it."""
    origin = "".join(letter for letter in wanted_for.lower() if letter.isascii() and letter.isalnum())[:24]
    return f"{OWN_PREFIX}p-{origin}-{secrets.token_hex(6)}"


def is_ours(client_order_id: str) -> bool:
    return client_order_id.startswith(OWN_PREFIX)
