"""The legs of brackets, OCOs and OTOs, as the answer about their parent names them.

They have ids of their own, fill by themselves and are followed like any order, so they are booked with their parent
and not only when a reconciliation finds them.
"""

import logging
from collections.abc import Iterator

from broker.errors import BrokerError
from broker.mapping import to_order
from broker.types import BrokerOrder

log = logging.getLogger(__name__)


def legs_of(facts: BrokerOrder) -> Iterator[BrokerOrder]:
    """A leg that cannot be read is left to reconciliation: its parent must be booked now."""
    for row in facts.raw.get("legs") or []:
        try:
            yield to_order(row)
        except BrokerError as error:
            log.warning("a leg of order %s cannot be read: %s", facts.broker_order_id, error)
