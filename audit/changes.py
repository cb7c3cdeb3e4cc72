"""Before and after as one list of fields. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Change:
    """One field by its path, such as `position.qty`; None: it was not there."""

    path: str
    before: str | None
    after: str | None

    @property
    def is_changed(self) -> bool:
        return self.before != self.after


def changes(before: Any, after: Any) -> list[Change]:
    """Return every field of either side, in the order in which they were recorded, those of `before` first."""
    old, new = dict(_leaves(before, "")), dict(_leaves(after, ""))
    return [Change(path, old.get(path), new.get(path)) for path in {**old, **new}]


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list) and value:
        for number, inner in enumerate(value, start=1):
            yield from _leaves(inner, f"{path} {number}".strip())
    elif value is not None and value not in ({}, []):
        yield path or "value", str(value)
