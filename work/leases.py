"""Take, renew and give back leases. Every step is one conditional UPDATE, so two takers never both succeed."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from work.holders import is_gone, this_process
from work.models import Lease
from work.statements import update

#: No lease is taken for longer: one that ends later was taken while the clock was fast, and is worth nothing.
LONGEST = timedelta(minutes=10)


def take(name: str, *, seconds: float, now: datetime, holder: str | None = None) -> bool:
    """Take the lease if it is free, expired, or its holder's process is gone. Taking one's own again fails."""
    holder = holder or this_process()
    until = now + timedelta(seconds=seconds)
    lease = Lease.objects.filter(name=name).first()
    if lease is None:
        try:
            with transaction.atomic():
                Lease.objects.create(name=name, holder=holder, expires_at=until)
        except IntegrityError:  # another process was quicker
            return False
        return True
    if _is_held(lease, now):
        return False
    seen = {"id": lease.pk, "holder": lease.holder, "expires_at": lease.expires_at}
    return update(Lease, where=seen, columns={"holder": holder, "expires_at": until}).run() == 1


def renew(name: str, *, seconds: float, now: datetime, holder: str | None = None) -> bool:
    """Hold on to it; False when it was lost meanwhile, and then the work must stop."""
    held = {"name": name, "holder": holder or this_process()}
    return update(Lease, where=held, columns={"expires_at": now + timedelta(seconds=seconds)}).run() == 1


def give_back(name: str, *, holder: str | None = None) -> None:
    held = {"name": name, "holder": holder or this_process()}
    update(Lease, where=held, columns={"holder": ""}).run()


def is_free(name: str, *, now: datetime) -> bool:
    """True when a take would succeed at this moment. A look, not a promise."""
    lease = Lease.objects.filter(name=name).first()
    return lease is None or not _is_held(lease, now)


def _is_held(lease: Lease, now: datetime) -> bool:
    return lease.holder != "" and now < lease.expires_at <= now + LONGEST and not is_gone(lease.holder)


@contextmanager
def holding(name: str, *, seconds: float) -> Iterator[bool]:
    """Yield whether the lease was taken; give it back at the end."""
    taken = take(name, seconds=seconds, now=timezone.now())
    try:
        yield taken
    finally:
        if taken:
            give_back(name)
