"""The queue in Redis forgets what a worker has in hand when that dies: the rows and the sweep bring the work back."""

import logging
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from redis import Redis

from tests.simulation import SimAccount, Simulator
from tests.tradingsite.installation import Installation
from tests.tradingsite.stores import redis
from tests.tradingsite.waiting import is_alive, wait_for

pytestmark = pytest.mark.redis
log = logging.getLogger(__name__)

BATCHES, LINES = 3, 8
RECORD = f"""
from django.utils import timezone
from broker.accounts import default_account
from orders.checking import check_batch
from orders.recording import record_batch
from orders.releasing import release_batch
now, account = timezone.now(), default_account()
for number in range({BATCHES}):
    data = "symbol,side,qty\\n" + "".join(f"F,buy,{{number * {LINES} + line + 1}}\\n" for line in range({LINES}))
    checked = check_batch(account=account, data=data.encode(), filename=f"{{number}}.csv", now=now)
    batch = record_batch(account=account, checked=checked, actor="ops", now=now, scheduled_for=None)
    release_batch(batch=batch, actor="ops", now=now)
"""


class Work:
    """An installation whose queue is in Redis, with three batches to send, and its worker."""

    def __init__(self, sim: SimAccount, folder: Path, queue: str) -> None:
        self.sim, self.queue = sim, Redis.from_url(queue)
        environment = {"Q_BROKER": queue, "NOT_PLACED_AFTER_SECONDS": "8", **sim.environment}
        self.installation = Installation(folder / "data", **environment)
        self.installation.set_up()
        done = self.installation.run("shell", "-v", "0", "-c", RECORD)
        assert done.returncode == 0, done.stderr
        self.query = self.installation.query
        self.installation.start("worker")

    def kill(self, sql: str, *, what: str, within: float = 90) -> None:
        """Kill whoever the rows name as soon as they name somebody: holders of leases or of claims."""

        def holders() -> list[str]:
            return [holder for (holder,) in self.query(sql) if holder]

        found = self.installation.wait_for(holders, within=within, what=what)
        for pid in {int(holder.split(":")[1]) for holder in found}:
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda pid=pid: not is_alive(pid), what="its end")  # type: ignore[misc]

    def wait_for(self, condition: Callable[[], bool], *, within: float, what: str) -> None:
        self.installation.wait_for(condition, within=within, what=what)

    def is_sent(self) -> bool:
        return self.query("SELECT count(*) FROM orders_order WHERE NOT is_booked") == [(0,)] and self.query(
            "SELECT DISTINCT state FROM orders_batch"
        ) == [("finished",)]


@pytest.fixture
def work(simulator: Simulator, tmp_path: Path) -> Iterator[Work]:
    sim = SimAccount(simulator, f"redis-{uuid.uuid4().hex[:12]}")
    with redis(tmp_path / "redis") as address:
        made = Work(sim, tmp_path, address)
        try:
            yield made
        finally:
            sim.reset()
            made.installation.clean_up()
            made.queue.close()


def test_rows_and_sweeps_bring_back_what_redis_forgets(work: Work) -> None:
    claims = "SELECT DISTINCT claimed_by FROM orders_order WHERE submission_state = 'submitting'"
    work.sim.fault("delay_answer", "POST", "/v2/orders", times=None, seconds=1.5)
    work.kill(claims, what="orders in hand")
    began = time.monotonic()
    work.queue.flushall()  # and all that was waiting is gone, too
    work.kill(claims, what="other orders in hand")
    work.sim.clear_faults()
    work.sim.fault("delay_answer", "GET", "/v2/positions", times=2, seconds=3)
    work.wait_for(work.is_sent, within=60, what="every order booked")
    log.info("sent and booked %.1f s after the first kill", time.monotonic() - began)
    work.kill("SELECT holder FROM work_lease WHERE name = 'account:sim'", what="a run in hand")
    began = time.monotonic()
    over = "SELECT count(*) FROM reconciliation_run WHERE trigger = 'batch' AND state = 'in_sync'"
    waiting = "SELECT count(*) FROM reconciliation_run WHERE state IN ('queued', 'running')"
    work.wait_for(
        lambda: work.query(waiting) == [(0,)] and work.query(over)[0][0] > 0, within=40, what="a run that is in sync"
    )
    log.info("in sync %.1f s after the run was killed", time.monotonic() - began)
    _assert_exactly_once(work)


def _assert_exactly_once(work: Work) -> None:
    """Counted at Alpaca."""
    there = work.sim.api("GET", "/v2/orders", params={"status": "all", "limit": 500})
    here = work.query("SELECT client_order_id, qty FROM orders_order")
    assert len(there) == len(here) == BATCHES * LINES
    assert {row["client_order_id"]: Decimal(row["filled_qty"]) for row in there} == {
        name: Decimal(qty) for name, qty in here
    }
    fills = work.query("SELECT f.qty FROM orders_fill f")
    assert sum(Decimal(qty) for (qty,) in fills) == sum(Decimal(qty) for _name, qty in here)
