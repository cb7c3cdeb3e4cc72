"""Sorted indexes, so that a page of a long list costs what the page holds and not what the list holds."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from heapq import merge

Key = tuple[int, int]


class SortedIndex:
    """Ids in the order of their keys (time, then arrival), walked from either end or from a cursor."""

    def __init__(self) -> None:
        self._entries: list[tuple[Key, str]] = []

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, key: Key, item_id: str) -> None:
        insort(self._entries, (key, item_id))

    def remove(self, key: Key, item_id: str) -> None:
        position = bisect_left(self._entries, (key, item_id))
        if position < len(self._entries) and self._entries[position] == (key, item_id):
            del self._entries[position]

    def entries(self, after: Key | None, before: Key | None, *, ascending: bool) -> Iterator[tuple[Key, str]]:
        """Entries strictly between the two keys."""
        low = 0 if after is None else bisect_right(self._entries, after, key=_key)
        high = len(self._entries) if before is None else bisect_left(self._entries, before, key=_key)
        positions = range(low, high) if ascending else range(high - 1, low - 1, -1)
        return (self._entries[position] for position in positions)


def _key(entry: tuple[Key, str]) -> Key:
    return entry[0]


def walk(
    indexes: list[SortedIndex], *, after: Key | None = None, before: Key | None = None, ascending: bool = False
) -> Iterator[str]:
    """The ids of several indexes as one ordered walk."""
    streams = [index.entries(after, before, ascending=ascending) for index in indexes]
    entries = streams[0] if len(streams) == 1 else merge(*streams, reverse=not ascending)
    return (item_id for _, item_id in entries)
