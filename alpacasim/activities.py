"""Account activities: executions and the entries that are no trade, with their ids and their order."""

import uuid
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from .index import Key, SortedIndex, walk
from .numbers import plain
from .times import Nanos, format_instant, new_york_stamp, parse_instant, to_datetime

FILL = "FILL"
# Entries whose `qty` came to the position, or left it, without a trade.
SHARE_MOVES = frozenset({"SPLIT", "NC", "ACATS", "JNLS", "FOPT"})
MICROSECOND: Nanos = 1000
# Groups that stand for several types in the `activity_types` filter.
GROUPS = {"TRANS": ("CSD", "CSW"), "DIV": ("DIV", "DIVCGL", "DIVCGS", "DIVNRA", "DIVROC", "DIVTXEX")}


@dataclass(slots=True)
class Activity:
    at: Nanos
    seq: int
    body: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return str(self.body["id"])

    @property
    def activity_type(self) -> str:
        return str(self.body["activity_type"])

    @property
    def key(self) -> Key:
        return (self.at, self.seq)

    def to_state(self) -> dict[str, Any]:
        return {**self.body, "seq": self.seq, "at": format_instant(self.at)}

    @classmethod
    def from_state(cls, document: dict[str, Any]) -> "Activity":
        body = {name: value for name, value in document.items() if name not in {"seq", "at"}}
        return cls(parse_instant(document["at"]), int(document["seq"]), body)


def fill_id(at: Nanos) -> str:
    return f"{new_york_stamp(at)}::{uuid.uuid4()}"


def entry_id(at: Nanos) -> str:
    """Entries that are no trade carry the day only."""
    return f"{new_york_stamp(at)[:8]}000000000::{uuid.uuid4()}"


def fill_body(
    *, order_id: str, symbol: str, side: str, qty: Decimal, price: Decimal, cum_qty: Decimal, leaves_qty: Decimal,
    at: Nanos, activity_id: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    done = leaves_qty == 0
    return {
        "activity_type": FILL,
        "cum_qty": plain(cum_qty),
        "id": activity_id or fill_id(at),
        "leaves_qty": plain(leaves_qty),
        "order_id": order_id,
        "order_status": "filled" if done else "partially_filled",
        "price": plain(price),
        "qty": plain(qty),
        "side": side,
        "symbol": symbol,
        "transaction_time": format_instant(at - at % MICROSECOND),
        "type": "fill" if done else "partial_fill",
    }


def entry_body(activity_type: str, at: Nanos, **fields: Any) -> dict[str, Any]:
    body = {
        "activity_type": activity_type,
        "created_at": format_instant(at),
        "currency": "USD",
        "date": to_datetime(at).date().isoformat(),
        "id": entry_id(at),
        "net_amount": "0",
        "status": "executed",
    }
    return dict(sorted((body | fields).items()))


class ActivityBook:
    """The activities of one account, by id, by order and by type."""

    def __init__(self) -> None:
        self._by_id: dict[str, Activity] = {}
        # Almost every order has one execution: a plain list costs a tenth of an index.
        self._of_order: dict[str, list[Activity]] = {}
        self._of_type: defaultdict[str, SortedIndex] = defaultdict(SortedIndex)

    def __len__(self) -> int:
        return len(self._by_id)

    def add(self, activity: Activity) -> None:
        self._by_id[activity.id] = activity
        self._of_type[activity.activity_type].add(activity.key, activity.id)
        if order_id := activity.body.get("order_id"):
            self._of_order.setdefault(order_id, []).append(activity)

    def remove(self, activity: Activity) -> None:
        del self._by_id[activity.id]
        self._of_type[activity.activity_type].remove(activity.key, activity.id)
        self._of_order.get(activity.body.get("order_id", ""), [activity]).remove(activity)

    def find(self, activity_id: str) -> Activity | None:
        return self._by_id.get(activity_id)

    def of_order(self, order_id: str) -> list[Activity]:
        return sorted(self._of_order.get(order_id, []), key=lambda activity: activity.key)

    def select(
        self, *, types: set[str] | None = None, order_id: str | None = None, after: Key | None = None,
        before: Key | None = None, ascending: bool = False,
    ) -> Iterator[Activity]:  # fmt: skip
        """Activities strictly between the two keys, in time order."""
        if order_id is not None:
            rows = self.of_order(order_id)[:: 1 if ascending else -1]
            return (row for row in rows if _is_between(row, after, before) and _is_of(row, types))
        indexes = [index for name, index in self._of_type.items() if types is None or name in types]
        if not indexes:
            return iter(())
        return (self._by_id[i] for i in walk(indexes, after=after, before=before, ascending=ascending))


def _is_between(activity: Activity, after: Key | None, before: Key | None) -> bool:
    return (after is None or activity.key > after) and (before is None or activity.key < before)


def _is_of(activity: Activity, types: set[str] | None) -> bool:
    return types is None or activity.activity_type in types
