"""What an entry says as one line of text, and the digests that chain entries. Pure.

The form is kept for good: with another one no entry written before would fit its digest. A field that comes later
enters it only where it is not empty.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

#: The digest before the first.
NOTHING_BEFORE = "0" * 64
#: What counts, in the order of the names.
FIELDS = (
    "account", "action", "actor", "after", "at", "before", "correlation_id", "reason", "subject_id", "subject_type",
    "summary",
)  # fmt: skip


def content_digest(entry: Any) -> str:
    """Return the SHA-256 of what the entry says. It is the same before it was stored and after it was read back."""
    content = {name: _canonical(getattr(entry, name)) for name in FIELDS}
    return _sha256(json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True))


def chain_digest(*, previous: str, sequence: int, entry_id: int, content: str) -> str:
    """Return the SHA-256 that stands for this entry and all before it. PostgreSQL's trigger computes the same."""
    return _sha256(f"{previous} {sequence} {entry_id} {content}")


def _canonical(value: Any) -> Any:
    """PostgreSQL stores JSON as values: the order of keys, and whether a whole number was a float, are lost there."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, Mapping):
        return {_key(name): _canonical(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(inner) for inner in value]
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    return value if value is None or isinstance(value, bool | int) else str(value)


def _key(name: Any) -> str:
    """JSON's own name for a key: 1 becomes "1", None "null"."""
    return name if isinstance(name, str) else str(next(iter(json.loads(json.dumps({name: 0})))))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
