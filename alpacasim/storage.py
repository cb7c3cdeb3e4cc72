"""Durable state: one row per object, written before the answer that speaks of it is sent."""

import contextlib
import gc
import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields
from decimal import Decimal
from pathlib import Path
from typing import Any

from .accounts import Account
from .activities import Activity
from .assets import Asset
from .numbers import plain
from .orders import Order
from .positions import Position
from .times import format_instant, parse_instant
from .venue import Venue

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    key_id TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, data TEXT NOT NULL,
    PRIMARY KEY (key_id, kind, id)
) WITHOUT ROWID
"""
_UPSERT = "INSERT INTO objects VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET data = excluded.data"
# Rows of the venue itself stand under this key; an API key is never empty.
_VENUE = ""

Row = tuple[str, str, str, str | None]


class Store:
    """Without a file nothing is kept; the calls are the same."""

    def __init__(self, path: Path | None) -> None:
        self._saved_venue: dict[str, str] = {}
        self._db: sqlite3.Connection | None = None
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        # A killed process loses nothing that was committed; only a power cut could.
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute(_SCHEMA)

    @property
    def is_empty(self) -> bool:
        return self._db is None or self._db.execute("SELECT 1 FROM objects LIMIT 1").fetchone() is None

    def save(self, venue: Venue) -> None:
        """Writes what changed since the last call, in one transaction; what fails is tried again with the next."""
        if self._db is not None:
            rows = [row for account in venue.accounts.values() for row in _changed(account)]
            state = {kind: _dump(state) for kind, state in venue_state(venue).items()}
            rows += [(_VENUE, kind, "", text) for kind, text in state.items() if self._saved_venue.get(kind) != text]
            if rows or venue.erased:
                self._write(self._db, rows, venue.erased)
                self._saved_venue = state
        venue.erased.clear()
        for account in venue.accounts.values():
            account.dirty.clear()

    @staticmethod
    def _write(db: sqlite3.Connection, rows: list[Row], erased: set[str]) -> None:
        gone = [row[:3] for row in rows if row[3] is None]
        db.execute("BEGIN IMMEDIATE")
        try:
            db.executemany("DELETE FROM objects WHERE key_id = ?", [(key,) for key in erased])
            db.executemany(_UPSERT, [row for row in rows if row[3] is not None])
            db.executemany("DELETE FROM objects WHERE (key_id, kind, id) = (?, ?, ?)", gone)
            db.execute("COMMIT")
        except sqlite3.Error:
            db.execute("ROLLBACK")
            raise

    def load(self, venue: Venue) -> None:
        with without_collector():
            self._load(venue)

    def _load(self, venue: Venue) -> None:
        if self._db is None:
            return
        query = "SELECT data FROM objects WHERE kind = ? AND key_id = ?"
        for kind in venue_state(venue):
            for (data,) in self._db.execute(query, (kind, _VENUE)):
                self._saved_venue[kind] = data
                load_venue_state(venue, kind, json.loads(data))
        for (data,) in self._db.execute("SELECT data FROM objects WHERE kind = 'account'").fetchall():
            account = Account.from_state(json.loads(data))
            venue.accounts[account.key_id] = account
            for kind in ("order", "position", "activity"):
                rows = self._db.execute(query, (kind, account.key_id))
                restore(account, kind, (json.loads(row[0]) for row in rows))
            account.dirty.clear()

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    """Making many objects that all stay wakes the garbage collector again and again, for nothing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def restore(account: Account, kind: str, documents: Iterable[dict[str, Any]]) -> None:
    if kind == "order":
        # In the indexes' own order an insert is an append.
        for order in sorted(map(Order.from_state, documents), key=lambda o: o.sort_key):
            account.add_order(order)
    elif kind == "activity":
        for activity in sorted(map(Activity.from_state, documents), key=lambda a: a.key):
            account.activities.add(activity)
    else:
        account.positions |= {d["symbol"]: Position.from_state(d) for d in documents}


def _changed(account: Account) -> list[Row]:
    return [
        (account.key_id, kind, object_id, None if item is None else _dump(item.to_state()))
        for (kind, object_id), item in account.dirty.items()
    ]


def venue_state(venue: Venue) -> dict[str, Any]:
    """What belongs to no account: moved time, pinned prices, listed assets."""
    clock = venue.clock
    pinned = None if clock.pinned is None else format_instant(clock.pinned)
    return {
        "clock": {"mode": clock.mode, "offset": clock.offset, "pinned": pinned},
        "prices": {symbol: plain(price) for symbol, price in venue.prices.pinned.items()},
        "assets": [asset_state(asset) for asset in venue.assets.added.values()],
    }


def load_venue_state(venue: Venue, kind: str, state: Any) -> None:
    if kind == "clock":
        venue.clock.offset = state["offset"]
        venue.clock.pinned = None if state["pinned"] is None else parse_instant(state["pinned"])
    elif kind == "prices":
        venue.prices.pinned = {symbol: Decimal(price) for symbol, price in state.items()}
    else:
        for document in state:
            venue.assets.add(load_asset(document))


def asset_state(asset: Asset) -> dict[str, Any]:
    return asdict(asset) | {"level": plain(asset.level)}


def load_asset(document: dict[str, Any]) -> Asset:
    names = {field.name for field in fields(Asset)}
    values = {name: value for name, value in document.items() if name in names}
    values.setdefault("name", values["symbol"])
    if "level" in values:
        values["level"] = Decimal(str(values["level"]))
    return Asset(**values)


def _dump(document: Any) -> str:
    return json.dumps(document, separators=(",", ":"))
