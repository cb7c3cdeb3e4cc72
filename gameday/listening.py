"""A follower of the stream in this process, whose handler can be made to fail. Needs a Django that is set up."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from unittest.mock import patch

from django.db import connections
from django.utils import timezone

from broker.models import Account
from broker.stream_state import stream_health
from gameday.venue import until
from orders.stream_following import follow_stream
from orders.streaming import Streaming
from work import leases
from work.holders import local_pid
from work.models import Lease

#: A busy computer needs as long to end a process and to open a connection.
PATIENCE = 60.0


@contextmanager
def following(account: Account) -> Iterator[None]:
    """Follow the account's stream here until the block ends; a process that follows it already is killed for it."""
    failures: list[Exception] = []
    stop = threading.Event()

    def follow() -> None:
        try:
            follow_stream(account=account, stop=stop)
        except Exception as error:
            failures.append(error)
        finally:
            connections.close_all()

    kill_follower(account)
    thread = threading.Thread(target=follow, name="gameday stream")
    thread.start()
    try:
        until(lambda: failures or is_live(account), "a live stream", seconds=PATIENCE)
        if failures:
            raise failures[0]
        yield
    finally:
        stop.set()
        thread.join(PATIENCE)


def kill_follower(account: Account) -> bool:
    """Kill whoever follows the account's stream on this computer; what watches over it starts it again."""
    lease = Lease.objects.filter(name=f"stream:{account.pk}").first()
    pid = local_pid(lease.holder) if lease else None
    if lease is None or pid is None or leases.is_free(lease.name, now=timezone.now()):
        return False
    os.kill(pid, signal.SIGKILL)
    until(lambda: leases.is_free(lease.name, now=timezone.now()), "the end of the stream's process")
    return True


def is_live(account: Account, *, since: datetime | None = None) -> bool:
    """True while the pages call the stream live; with `since`, on a connection that was made later."""
    health = stream_health(account.pk, timezone.now())
    return health.is_live and (since is None or bool(health.since and health.since > since))


@contextmanager
def failing_handler() -> Iterator[list[str]]:
    """Let every update raise where it is to be booked; what is yielded grows by one each time."""
    raised: list[str] = []

    def fail(_self: Streaming, updates: Any, _now: Any) -> None:
        raised.extend(update.event for update in updates)
        if updates:
            raise ValueError("the handler of the stream is broken")

    with patch.object(Streaming, "take", fail):
        yield raised
