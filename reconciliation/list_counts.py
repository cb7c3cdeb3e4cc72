"""How far the walk over one list came: part of the proof that a reading was complete."""

from dataclasses import dataclass, field
from datetime import UTC, datetime


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
