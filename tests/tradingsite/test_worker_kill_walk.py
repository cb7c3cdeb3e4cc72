"""The real worker against `kill -9`, a locked database and the clock: `manage.py worker` on the product's defaults.

One installation and one worker for all of it. Batches are recorded beforehand and released by their rows; nobody but
the worker's own supervisor, watchdog and ticker brings the work back.
"""

import json
import logging
import os
import signal
import time
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path

import psutil
import pytest

from orders.crash_points import POINTS
from tests.databases import ask, hold_write_lock
from tests.orders.processes import end
from tests.simulation import SimAccount
from tests.tradingsite.installation import Installation
from tests.tradingsite.waiting import is_alive, wait_for

log = logging.getLogger(__name__)
SYMBOLS = ("AAPL", "MSFT", "F", "KO", "QCOM", "APH", "BMY")
RECORD = """
import json
from datetime import timedelta
from django.utils import timezone
from broker.accounts import default_account
from orders.checking import check_batch
from orders.recording import record_batch
now, ids = timezone.now(), []
for lines in {files!r}:
    data = "symbol,side,qty\\n" + "".join(f"{{symbol}},buy,{{qty}}\\n" for symbol, qty in lines)
    account = default_account()
    checked = check_batch(account=account, data=data.encode(), filename="walk.csv", now=now)
    later = now + timedelta(days=1)
    ids.append(record_batch(account=account, checked=checked, actor="ops", now=now, scheduled_for=later).pk)
print(json.dumps(ids))
"""


class Site:
    """The installation, its account at the simulator, and its worker."""

    def __init__(self, sim: SimAccount, folder: Path) -> None:
        self.sim = sim
        self.crash_folder = folder / "crash"
        self.crash_folder.mkdir()
        self.installation = Installation(folder / "data", CRASH_ONCE_FOLDER=str(self.crash_folder), **sim.environment)
        self.installation.set_up()
        self.query = self.installation.query
        self.batches = iter(self._record())
        self.worker = self.installation.start("worker")

    def _record(self) -> list[int]:
        walk = [[(symbol, number) for symbol in SYMBOLS[:3]] for number in range(1, len(POINTS) + 2)]
        first, last = ([(symbol, number) for symbol in SYMBOLS] for number in (20, 21))
        done = self.installation.run("shell", "-v", "0", "-c", RECORD.format(files=[first, *walk, last]))
        assert done.returncode == 0, done.stderr
        return list(json.loads(done.stdout))

    def schedule(self) -> int:
        """Let the next batch be due: the ticker releases it."""
        return self._write("UPDATE orders_batch SET scheduled_for = ? WHERE id = ?")

    def release(self) -> int:
        return self._write("UPDATE orders_batch SET state = 'released', released_at = ? WHERE id = ?")

    def _write(self, sql: str) -> int:
        batch = next(self.batches)
        ask(self.installation.database, sql, datetime.now(UTC).replace(tzinfo=None).isoformat(" "), batch)
        return batch

    def states(self, batch: int) -> set[str]:
        return {state for (state,) in self.query("SELECT submission_state FROM orders_order WHERE batch_id = ?", batch)}

    def is_over(self, batch: int) -> bool:
        """Every order confirmed, every fill booked, and the batch finished."""
        sql = "SELECT count(*) FROM orders_order WHERE batch_id = ? AND NOT is_booked"
        finished = self.query("SELECT state FROM orders_batch WHERE id = ?", batch) == [("finished",)]
        return finished and self.states(batch) == {"confirmed"} and self.query(sql, batch) == [(0,)]

    def at_broker(self, batch: int) -> list[str]:
        """The client_order_ids that Alpaca has of the batch, in the order of the lines."""
        rows = self.sim.api("GET", "/v2/orders", params={"status": "all", "limit": 500})
        ours = (row["client_order_id"] for row in rows)
        return sorted(name for name in ours if name.startswith(f"ts-{batch}-"))

    def await_work(self) -> None:
        """Until a heartbeat has gone all the way through the cluster that runs now."""
        sql = "SELECT at FROM work_heartbeat WHERE name = 'results'"
        before = self.query(sql)
        wait_for(lambda: self.query(sql) != before, within=30, what="a heartbeat")

    def clusters(self) -> set[int]:
        """The main process of the cluster that runs now; none while it is started anew."""
        return {child.pid for child in psutil.Process(self.worker.pid).children()}

    def await_end_of(self, clusters: set[int]) -> None:
        """Until the watchdog has replaced a cluster of which a process was killed."""
        wait_for(lambda: not any(map(is_alive, clusters)), what="the end of the cluster")

    def troubles(self, since: int = 0) -> list[str]:
        printed = self.installation.printed()[since:]
        return [
            line for line in printed.splitlines() if " ERROR " in line or "Traceback" in line or "replacing" in line
        ]


@pytest.fixture(scope="module")
def site(simulator, tmp_path_factory):
    sim = SimAccount(simulator, f"walk-{uuid.uuid4().hex[:12]}")
    made = Site(sim, tmp_path_factory.mktemp("walk"))
    try:
        made.await_work()
        yield made
    finally:
        sim.reset()
        made.worker.send_signal(signal.SIGTERM)
        made.worker.wait(20)
        left = made.installation.processes()
        made.installation.clean_up()
        assert not left


def test_seven_orders_are_confirmed_within_two_seconds_of_their_release(site):
    site.sim.configure(latency_ms=50)
    began = time.monotonic()
    batch = site.release()
    wait_for(lambda: site.states(batch) == {"confirmed"}, what="seven confirmed orders")
    confirmed = time.monotonic() - began
    wait_for(lambda: site.is_over(batch), what="their fills")
    log.info("seven orders: confirmed after %.2f s, booked after %.2f s", confirmed, time.monotonic() - began)
    site.sim.configure(latency_ms=0)
    assert confirmed < 2
    assert len(site.at_broker(batch)) == 7


@pytest.fixture(scope="module")
def killed(site):
    """The batches of the walk, as soon as a worker was killed at every point. They go on by themselves."""
    for point in POINTS:
        (site.crash_folder / point).touch()
    batches = [site.schedule() for _ in POINTS]

    def condemned():
        clusters = site.clusters()  # looked at first: the one that died last, or none if it is replaced just now
        return [clusters] if not list(site.crash_folder.iterdir()) else None

    site.await_end_of(wait_for(condemned, within=60, what="a death at every point")[0])
    site.await_work()
    return [*batches, _kill_between_acceptance_and_answer(site)]


def _kill_between_acceptance_and_answer(site: Site) -> int:
    site.sim.fault("delay_answer", "POST", "/v2/orders", times=None, seconds=30)
    batch = site.schedule()
    wait_for(lambda: len(site.at_broker(batch)) == 3, what="three orders at Alpaca")
    [(holder,)] = site.query("SELECT DISTINCT claimed_by FROM orders_order WHERE batch_id = ?", batch)
    condemned = site.clusters()
    os.kill(int(holder.split(":")[1]), signal.SIGKILL)
    assert site.states(batch) == {"submitting"}
    site.sim.clear_faults()
    site.await_end_of(condemned)
    return batch


def test_a_lock_of_twenty_seconds_delays_the_worker_and_disturbs_nobody(site, killed):
    """While it also waits for proof that an order of a killed worker was never placed."""
    site.await_work()
    printed = len(site.installation.printed())
    site.sim.fault("delay_answer", "POST", "/v2/orders", times=7, seconds=0.5)
    batch = site.schedule()
    wait_for(lambda: site.at_broker(batch), what="the first order at Alpaca")
    locker = hold_write_lock(site.installation.database, 20)
    assert site.states(batch) != {"confirmed"}
    end(locker)
    released = time.monotonic()
    wait_for(lambda: site.is_over(batch), within=10, what="the end of the batch")
    log.info("a lock of 20 s: all is booked %.2f s after its release", time.monotonic() - released)
    site.await_work()
    assert site.troubles(printed) == []
    assert len(site.at_broker(batch)) == len(set(site.at_broker(batch))) == 7


def test_killed_at_every_step_of_sending(site, killed):
    for batch in killed:
        wait_for(partial(site.is_over, batch), within=60, what=f"the end of batch {batch}")
    _assert_exactly_once(site, killed)
    done = site.installation.run("reconcile", "--json")
    assert (done.returncode, json.loads(done.stdout)["state"]) == (0, "in_sync"), done.stdout


def _assert_exactly_once(site: Site, batches: list[int]) -> None:
    for batch in batches:
        rows = site.query("SELECT client_order_id, broker_order_id FROM orders_order WHERE batch_id = ?", batch)
        assert sorted(name for name, _ in rows) == site.at_broker(batch)
        assert len({broker_id for _, broker_id in rows}) == len(rows) == 3
        fills = site.query(
            "SELECT o.qty, f.qty FROM orders_order o JOIN orders_fill f ON f.order_id = o.id WHERE o.batch_id = ?",
            batch,
        )
        assert len(fills) == 3
        assert all(Decimal(wanted) == Decimal(filled) for wanted, filled in fills)
