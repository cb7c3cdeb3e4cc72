"""Executions that Alpaca took back. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from broker.times import moment
from broker.types import BrokerActivity, BrokerFill


def without_taken_back(fills: Mapping[str, BrokerFill], others: Iterable[BrokerActivity]) -> dict[str, BrokerFill]:
    """A bust is listed as the same execution with a negative quantity: the two together are none.

    Only what was there can be taken back: another execution of the same shares at the same price that came later
    stands, also where the one that is meant lies before the fills that were read.
    """
    left = dict(fills)
    for other in others:
        if other.activity_type != "FILL" or other.qty is None or other.qty >= 0:
            continue
        wanted, at = (str(other.raw.get("order_id") or ""), -other.qty, other.price), _moment(other)
        matches = [
            fill
            for fill in left.values()
            if (fill.broker_order_id, fill.qty, fill.price) == wanted and (at is None or fill.transaction_time <= at)
        ]
        if matches:
            del left[max(matches, key=lambda fill: (fill.transaction_time, fill.activity_id)).activity_id]
    return left


def _moment(other: BrokerActivity) -> datetime | None:
    try:
        return moment(str(other.raw.get("transaction_time") or ""))
    except ValueError:
        return None
