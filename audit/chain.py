"""The chain of entries: its end, and the link of a new entry."""

from dataclasses import dataclass

from django.db import connection

from audit.digests import NOTHING_BEFORE, chain_digest
from audit.models import AuditEntry, AuditLink


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain at some time. Who keeps it elsewhere can prove later that nothing before it was lost."""

    sequence: int
    digest: str

    def __str__(self) -> str:
        return f"{self.sequence}:{self.digest}"


EMPTY = Head(0, NOTHING_BEFORE)


def current_head() -> Head:
    last = AuditLink.objects.order_by("-sequence").values_list("sequence", "digest").first()
    return Head(*last) if last else EMPTY


def link(entry: AuditEntry) -> None:
    """Add an entry that was just stored. Call it in the transaction that stored it.

    PostgreSQL does it by itself at the commit: see audit.append_only.
    """
    if connection.vendor == "postgresql":
        return
    head = current_head()
    sequence = head.sequence + 1
    digest = chain_digest(previous=head.digest, sequence=sequence, entry_id=entry.pk, content=entry.digest)
    AuditLink.objects.create(sequence=sequence, entry=entry, previous=head.digest, digest=digest)
