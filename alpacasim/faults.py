"""Scripted faults: which requests and frames they meet, how often, and what they do."""

import itertools
import re
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

HTTP_FAULTS = {
    "drop_answer", "delay_answer", "delay_accept", "status_after_accept", "status", "garbage", "hang",
    "truncated_body", "truncated_page", "empty_list", "unknown_status", "positions_lag", "reject_replacement",
}  # fmt: skip
STREAM_FAULTS = {"lose_frame", "double_frame", "reorder_frames", "silent_socket", "close_socket"}
KINDS = HTTP_FAULTS | STREAM_FAULTS
_MATCHES = {"method", "path", "key_id", "symbol", "client_order_id", "event"}
# The log is for tests and people; it must not grow for ever.
_LOG_LENGTH = 10_000


@dataclass(slots=True)
class Fault:
    id: int
    kind: str
    match: dict[str, str] = field(default_factory=dict)
    times: int | None = None
    after: int = 0
    args: dict[str, Any] = field(default_factory=dict)
    seen: int = 0
    hits: int = 0

    @property
    def spent(self) -> bool:
        return self.times is not None and self.hits >= self.times

    def meets(self, subject: dict[str, Any]) -> bool:
        return all(_matches(name, wanted, subject.get(name)) for name, wanted in self.match.items())

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id, "fault": self.kind, "match": self.match, "times": self.times, "after": self.after,
            **self.args, "seen": self.seen, "hits": self.hits, "spent": self.spent,
        }  # fmt: skip


def _matches(name: str, wanted: str, found: Any) -> bool:
    if name == "path":
        return str(found).startswith(wanted) or re.fullmatch(wanted, str(found)) is not None
    if isinstance(found, set | frozenset):
        return wanted in found
    return bool(found == wanted)


class FaultBook:
    """The faults in force, and the log of what was asked."""

    def __init__(self) -> None:
        self._faults: dict[int, Fault] = {}
        self._ticket = itertools.count(1)
        self.requests: deque[dict[str, Any]] = deque(maxlen=_LOG_LENGTH)

    def add(self, document: dict[str, Any]) -> Fault:
        args = dict(document)
        kind, match = args.pop("fault", None), args.pop("match", None) or {}
        times, after = args.pop("times", None), args.pop("after", 0)
        if kind not in KINDS:
            raise ValueError(f"fault must be one of: {', '.join(sorted(KINDS))}")
        if not isinstance(match, dict) or set(match) - _MATCHES:
            raise ValueError(f"match takes: {', '.join(sorted(_MATCHES))}")
        if times is not None and (not isinstance(times, int) or times < 1):
            raise ValueError("times must be a whole number from 1, or null for always")
        if not isinstance(after, int) or after < 0:
            raise ValueError("after must be a whole number from 0")
        match = {name: str(value) for name, value in match.items()}
        if "method" in match:
            match["method"] = match["method"].upper()
        if "path" in match:
            try:
                re.compile(match["path"])
            except re.error as error:
                raise ValueError(f"match.path is neither a prefix nor a pattern: {error}") from None
        fault = Fault(next(self._ticket), kind, match, times, after, args)
        self._faults[fault.id] = fault
        return fault

    def all(self) -> list[Fault]:
        return list(self._faults.values())

    def remove(self, fault_id: int | None = None) -> bool:
        if fault_id is None:
            self._faults.clear()
            return True
        return self._faults.pop(fault_id, None) is not None

    def take(self, kinds: set[str], subject: dict[str, Any]) -> list[Fault]:
        """The faults that strike this request or frame; each strike is counted."""
        struck = []
        for fault in self._faults.values():
            if fault.kind not in kinds or fault.spent or not fault.meets(subject):
                continue
            fault.seen += 1
            if fault.seen > fault.after:
                fault.hits += 1
                struck.append(fault)
        return struck

    def log(self, subject: dict[str, Any]) -> dict[str, Any]:
        """Writes a request to the log; its status follows when there is one."""
        entry = {
            "method": subject["method"], "path": subject["path"], "query": subject["query"],
            "key_id": subject["key_id"], "client_order_id": subject["client_order_id"],
            "time": time.time(), "status": None,
        }  # fmt: skip
        self.requests.append(entry)
        return entry
