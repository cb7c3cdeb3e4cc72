"""Executions that Alpaca took back. Pure."""

from collections.abc import Iterable, Mapping

from broker.types import BrokerActivity, BrokerFill


def without_taken_back(fills: Mapping[str, BrokerFill], others: Iterable[BrokerActivity]) -> dict[str, BrokerFill]:
    """A bust is listed as the same execution with a negative quantity: the two together are none."""
    left = dict(fills)
    for other in others:
        if other.activity_type != "FILL" or other.qty is None or other.qty >= 0:
            continue
        wanted = (str(other.raw.get("order_id") or ""), -other.qty, other.price)
        matches = [fill for fill in left.values() if (fill.broker_order_id, fill.qty, fill.price) == wanted]
        if matches:
            del left[max(matches, key=lambda fill: (fill.transaction_time, fill.activity_id)).activity_id]
    return left
