"""How far the walk over one list came: part of the proof that a reading was complete, and how it is told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from broker.times import NEW_YORK

#: The order in which a reading asks, and in which a list is told of. PostgreSQL keeps no order in a JSON column.
_LISTS = ("open_orders", "orders", "activities", "positions", "orders_by_id")
_FACTS = ("pages", "rows", "last_cursor")


@dataclass(slots=True)
class ListCounts:
    pages: int = 0
    rows: int = 0
    last_cursor: str = ""
    began_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def as_facts(self) -> dict[str, object]:
        return {
            "pages": self.pages,
            "rows": self.rows,
            "last_cursor": self.last_cursor,
            "began_at": self.began_at.isoformat(),
            "ended_at": datetime.now(UTC).isoformat(),
        }


def in_reading_order(lists: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return sorted(lists.items(), key=lambda each: (_place(each[0], _LISTS), each[0]))


def what_was_read(name: str, counts: Mapping[str, Any]) -> str:
    """The proof of completeness in words: an id or a time that is missing is left out, a count of zero is not."""
    said = ", ".join(
        f"{key.replace('_', ' ')} {_readable(value)}"
        for key, value in sorted(counts.items(), key=lambda each: (_place(each[0], _FACTS), each[0]))
        if value not in ("", None) and key not in {"began_at", "ended_at"}
    )
    return f"{name.replace('_', ' ').capitalize()}: {said or 'from the beginning'}."


def _readable(value: Any) -> str:
    try:
        return f"{datetime.fromisoformat(value).astimezone(NEW_YORK):%Y-%m-%d %H:%M:%S} New York"
    except (TypeError, ValueError):
        return str(value)


def _place(name: str, names: tuple[str, ...]) -> int:
    return names.index(name) if name in names else len(names)
