"""Prove that the journal is as it was written, or say where it first is not."""

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from audit.append_only import missing_triggers
from audit.chain import EMPTY, Head
from audit.digests import chain_digest, content_digest
from audit.models import AuditEntry, AuditLink

_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Break:
    """The first place that does not fit. `sequence` and `entry_id` are None where there is none."""

    sequence: int | None
    entry_id: int | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Verification:
    entries: int
    head: Head
    broken: Break | None
    unguarded: list[str] = field(default_factory=list)

    @property
    def is_proven(self) -> bool:
        return self.broken is None and not self.unguarded


def verify_chain(*, since: int = 0, heads: Iterable[Head] = ()) -> Verification:
    """Read the chain from the link after `since`, which is taken as it is, to the end.

    `heads` are ends of the chain that were noted elsewhere: each must still be in it. Without one nobody can see
    that entries at the end were cut off together with their links. One before `since` is where reading begins.
    """
    noted: dict[int, set[str]] = {}
    for head in heads:
        noted.setdefault(head.sequence, set()).add(head.digest)
    since = min([since, *noted])
    at = _link_taken(since) if since else EMPTY
    if at is None:
        return Verification(0, EMPTY, Break(since, None, f"Link {since} is not there."), missing_triggers(connection))
    count = 0
    broken = _differs_from_note(at, noted)
    for found in [] if broken else _links_after(at.sequence):
        broken = _link_break(found, at) or _differs_from_note(found.as_head, noted)
        if broken:
            break
        at, count = found.as_head, count + 1
    broken = broken or _end_break(at, noted) or _before_first() or _unlinked()
    return Verification(count, at, broken, missing_triggers(connection))


@dataclass(frozen=True, slots=True)
class _Found:
    """One link and its entry as they are stored; the entry is None if it is gone, its words if it is unreadable."""

    sequence: Any  # SQLite keeps what it is given
    entry_id: int
    previous: str
    digest: str
    entry: AuditEntry | str | None

    @property
    def as_head(self) -> Head:
        return Head(self.sequence, self.digest)


def _link_taken(sequence: int) -> Head | None:
    digest = AuditLink.objects.filter(sequence=sequence).values_list("digest", flat=True).first()
    return None if digest is None else Head(sequence, digest)


def _links_after(sequence: int) -> Iterator[_Found]:
    """Piece by piece: no statement holds the database up, and what is added meanwhile comes at the end."""
    columns = ("sequence", "entry_id", "previous", "digest")
    while links := list(AuditLink.objects.filter(sequence__gt=sequence).values_list(*columns)[:_AT_ONCE]):
        entries = _entries([row[1] for row in links])
        for number, entry_id, previous, digest in links:
            yield _Found(number, entry_id, previous, digest, entries.get(entry_id))
        sequence = links[-1][0]


def _entries(ids: list[int]) -> dict[int, AuditEntry | str]:
    try:
        return {entry.pk: entry for entry in AuditEntry.objects.filter(pk__in=ids).order_by()}
    except (ValueError, TypeError) as error:  # no JSON, no time: somebody wrote to the file itself
        if len(ids) == 1:
            return {ids[0]: str(error)}
        half = len(ids) // 2
        return _entries(ids[:half]) | _entries(ids[half:])


def _link_break(found: _Found, before: Head) -> Break | None:
    sentence = _gap(found, before) or _misfit(found, before)
    return Break(found.sequence, found.entry_id, sentence) if sentence else None


def _gap(found: _Found, before: Head) -> str:
    if found.sequence == before.sequence + 1:
        return ""
    if not isinstance(found.sequence, int):
        return f"The link of entry {found.entry_id} has no number but {found.sequence!r}: it was changed or put in."
    gone = f"Link {before.sequence + 1} is gone"
    if found.sequence > before.sequence + 2:
        gone = f"Links {before.sequence + 1} to {found.sequence - 1} are gone"
    return f"{gone}: entries were removed before entry {found.entry_id}."


def _misfit(found: _Found, before: Head) -> str:
    entry = found.entry
    if entry is None:
        return f"Entry {found.entry_id} was removed: link {found.sequence} has none."
    if isinstance(entry, str):
        return f"Entry {found.entry_id} was changed: it cannot be read any more ({entry})."
    content = _content_or_nothing(entry)
    if content != entry.digest:
        words = f"{entry.at}, {entry.actor}, {entry.action}"
        return f"Entry {found.entry_id} ({words}) was changed: it does not say any more what was written then."
    if found.previous != before.digest:
        return f"Link {found.sequence} does not follow link {before.sequence}: one of them was changed or put in."
    if found.digest != chain_digest(
        previous=found.previous, sequence=found.sequence, entry_id=found.entry_id, content=content
    ):
        return f"Link {found.sequence} is not that of entry {found.entry_id}: another entry was put in its place."
    return ""


def _content_or_nothing(entry: AuditEntry) -> str:
    try:
        return content_digest(entry)
    except (ValueError, TypeError, AttributeError):
        return ""


def _differs_from_note(head: Head, noted: Mapping[int, Set[str]]) -> Break | None:
    if noted.get(head.sequence, {head.digest}) == {head.digest}:
        return None
    sentence = f"Link {head.sequence} is not the one that was noted: the chain was written anew."
    return Break(head.sequence, None, sentence)


def _end_break(end: Head, noted: Iterable[int]) -> Break | None:
    beyond = [sequence for sequence in noted if sequence > end.sequence]
    if not beyond:
        return None
    return Break(
        end.sequence, None, f"The chain ends at {end.sequence}, and {max(beyond)} was noted: its end was cut off."
    )


def _before_first() -> Break | None:
    """A link that no walk comes by would hide its entry."""
    stray = AuditLink.objects.filter(sequence__lt=1).order_by("sequence").values_list("sequence", "entry_id").first()
    if stray is None:
        return None
    return Break(stray[0], stray[1], f"Entry {stray[1]} has link {stray[0]}, before the first: it was put in.")


def _unlinked() -> Break | None:
    stray = AuditEntry.objects.filter(link__isnull=True).order_by("pk").values_list("pk", flat=True).first()
    if stray is None:
        return None
    return Break(None, stray, f"Entry {stray} is in no link: it was put in past the software, or its link removed.")
