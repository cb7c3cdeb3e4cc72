"""A fix as a table of three columns: database | Alpaca | after the fix. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

SECTIONS = ("order", "fill", "entry", "position", "new position", "cash")


class ThreeSides(Protocol):
    @property
    def before(self) -> Mapping[str, Any]: ...
    @property
    def broker(self) -> Mapping[str, Any]: ...
    @property
    def after(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One field. None: that side has no such field; the empty text: it has it and says nothing."""

    section: str
    field: str
    database: str | None
    broker: str | None
    after: str | None

    @property
    def label(self) -> str:
        return f"{self.section} {self.field.replace('_', ' ')}".strip()

    @property
    def changes(self) -> bool:
        """The fix writes this field. A field without an 'after' is not written."""
        return self.after is not None and self.after != self.database


def columns(fix: ThreeSides) -> list[Row]:
    """Return every field of the three sides, order first, in the order in which they were written down."""
    rows = []
    for section in SECTIONS:
        sides = [side.get(section) or {} for side in (fix.before, fix.broker, fix.after)]
        for name in dict.fromkeys(name for side in (sides[2], sides[1], sides[0]) for name in side):
            database, broker, after = (_text(side.get(name)) if name in side else None for side in sides)
            rows.append(Row(section=section, field=name, database=database, broker=broker, after=after))
    return rows


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return "; ".join(_text(item) for item in value)
    if isinstance(value, Mapping):
        return " ".join(_text(item) for item in value.values())
    return str(value)
