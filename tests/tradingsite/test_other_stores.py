"""The same demo with its database in PostgreSQL, and with its queue in Redis: found, repaired, executed, in sync."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.databases import ABOUT_SQLITE, IS_ON_POSTGRESQL
from tests.tradingsite.installation import ROOT, Installation
from tests.tradingsite.stores import postgresql, postgresql_programs, redis
from tests.tradingsite.waiting import wait_for

#: What rows, locks and races decide; `make test-postgresql` runs everything there.
ON_POSTGRESQL = (
    "work",
    "positions/test_parallel.py",
    "orders/test_double_delivery.py",
    "reconciliation/test_run_pages.py::test_an_incomplete_run_shows_where_it_broke_off",
)
ORDERS = "symbol,side,qty\nQCOM,buy,3\nNVDA,buy,2\nACGL,sell,1\n"


@pytest.fixture(
    params=[pytest.param("postgresql", marks=pytest.mark.postgresql), pytest.param("redis", marks=pytest.mark.redis)]
)
def installation(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    with ExitStack() as stack:
        if request.param == "postgresql":
            environment = {"DATABASE_URL": stack.enter_context(postgresql(tmp_path / "postgresql"))}
        else:
            environment = {"Q_BROKER": stack.enter_context(redis(tmp_path / "redis"))}
        made = Installation(tmp_path / "data", **environment)
        stack.callback(made.clean_up)
        yield made


def test_the_whole_demo(installation: Installation, tmp_path: Path) -> None:
    demo = installation.start("demo", "--port", "0")
    described = installation.data_dir / "demo.json"
    wait_for(lambda: described.exists() or demo.poll() is not None, within=90, what="demo.json")
    assert demo.poll() is None, installation.printed()

    status, found = _json(installation, "reconcile", "--json")
    assert (status, found["state"]) == (1, "drift"), found
    assert len([drift for drift in found["drifts"] if drift["cause_id"] is None]) == 7
    assert _json(installation, "backfill", "--all", "--as", "ops", "--json")[0] == 0
    assert installation.run("verify").returncode == 0

    # The worker executes what is only recorded here, and its fills are booked.
    file = tmp_path / "orders.csv"
    file.write_text(ORDERS)
    assert installation.run("submit_batch", str(file)).returncode == 0
    in_sync = wait_for(lambda: _in_sync(installation), within=60, what="a run that is in sync")
    assert in_sync["drifts"] == []

    demo.send_signal(signal.SIGINT)
    assert demo.wait(40) == 0
    assert installation.processes() == []


def _in_sync(installation: Installation) -> dict[str, Any] | None:
    status, document = _json(installation, "reconcile", "--json")
    return document if status == 0 else None


def _json(installation: Installation, *command: str) -> tuple[int, Any]:
    done = installation.run(*command)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.mark.postgresql
@pytest.mark.skipif(IS_ON_POSTGRESQL, reason=ABOUT_SQLITE)
def test_a_part_of_the_suite_on_postgresql() -> None:
    postgresql_programs()  # or skip
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DATA", "PYTEST"))}
    command = [sys.executable, "-m", "tests.on_postgresql", "-q", "-n", "0", "-p", "no:cacheprovider"]
    command += [f"tests/{path}" for path in ON_POSTGRESQL]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
