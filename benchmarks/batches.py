"""Batches as a person sends them, through the real worker: released here, sent and confirmed there."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from benchmarks.history import SYMBOLS, venue
from benchmarks.installation import KEY, Installation, installation
from benchmarks.rows import Scale, say

LATENCY_MS = 50.0
#: Each of the worker's processes imports alpaca-py once, for its first batch.
_WARM_UP, _QUICK_WARM_UP = 12, 4
_numbers = count(20)


@dataclass(frozen=True)
class Desk:
    """A worker that is warm, at a simulator which takes its time for every answer."""

    installed: Installation
    url: str

    def seconds_to_confirm(self, orders: int) -> float:
        """Record a batch, release it, and return the seconds from the release to the last confirmation."""
        from django.utils import timezone

        from broker.accounts import default_account
        from orders.checking import check_batch
        from orders.models import Batch
        from orders.recording import record_batch
        from orders.releasing import release_batch
        from work.queue import enqueue_once

        now, account = timezone.now(), default_account()
        lines = [
            f"{SYMBOLS[number % len(SYMBOLS)]},buy,{1 + number // len(SYMBOLS)},market" for number in range(orders)
        ]
        lines[-1] = f"KO,buy,{next(_numbers)},market"  # no two alike: the second would be refused as a repetition
        data = "\n".join(["symbol,side,qty,order_type", *lines])
        checked = check_batch(account=account, data=data.encode(), filename="bench.csv", now=now)
        if checked.errors:
            raise SystemExit(str(checked.errors[0]))
        batch = record_batch(account=account, checked=checked, actor="bench", now=now, scheduled_for=None)
        released_at = timezone.now()
        release_batch(batch=batch, actor="bench", now=released_at)
        enqueue_once(f"execute:{batch.pk}", "orders.tasks.execute_batch_task", batch.pk, now=released_at)  # as pages do
        finished = Batch.objects.filter(pk=batch.pk, finished_at__isnull=False)
        self.installed.wait_for(finished.exists, f"the end of batch {batch.pk}")
        confirmed = list(batch.orders.filter(submission_state="confirmed").values_list("confirmed_at", flat=True))
        if len(confirmed) != orders:
            raise SystemExit(f"{orders - len(confirmed)} of {orders} orders were not confirmed.")
        last: datetime = max(at for at in confirmed if at is not None)
        self.installed.wait_for(lambda: not batch.orders.filter(is_booked=False).exists(), "the fills")
        return (last - released_at).total_seconds()


@contextmanager
def desk(scale: Scale) -> Iterator[Desk]:
    account = {"cash": "900000000", "created_at": datetime(2025, 1, 2, tzinfo=UTC).isoformat(), "orders": []}
    with (
        tempfile.TemporaryDirectory(prefix="desk-") as folder,
        venue(Path(folder), {KEY: account}, latency_ms=LATENCY_MS) as url,
        installation(Path(folder), url) as installed,
    ):
        installed.start("worker")
        made = Desk(installed, url)
        say("warming up")
        for _ in range(_QUICK_WARM_UP if scale.is_quick else _WARM_UP):
            made.seconds_to_confirm(1)
        yield made
