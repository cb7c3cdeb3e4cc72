"""Saving: what could not be written is written later, and is told to nobody before."""

import sqlite3
import time
from pathlib import Path

import pytest

from alpacasim.scheduler import Scheduler
from alpacasim.simulator import Simulator
from alpacasim.storage import Store


def test_what_could_not_be_saved_is_saved_with_the_next(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    simulator = Simulator(state=path)
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    assert simulator.store._db is not None
    simulator.store._db.execute("PRAGMA busy_timeout = 0")
    simulator.venue.account("sim")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        simulator.commit()
    blocker.execute("ROLLBACK")
    blocker.close()
    simulator.commit()
    simulator.store.close()
    again = Simulator(state=path)
    assert list(again.venue.accounts) == ["sim"]
    again.store.close()


def test_nothing_is_written_when_nothing_changed(tmp_path: Path) -> None:
    simulator = Simulator(state=tmp_path / "state.db")
    simulator.venue.account("sim")
    simulator.commit()
    assert simulator.store._db is not None
    before = simulator.store._db.total_changes
    simulator.commit()
    assert simulator.store._db.total_changes == before
    simulator.store.close()


def test_a_store_without_a_file_keeps_nothing() -> None:
    assert Store(None).is_empty


def test_a_step_that_fails_takes_no_other_with_it() -> None:
    scheduler = Scheduler(time.monotonic)
    done: list[str] = []
    scheduler.after(0, lambda: done.append("first"))
    scheduler.after(0, lambda: 1 / 0)  # type: ignore[arg-type]
    scheduler.after(0, lambda: done.append("last"))
    with pytest.raises(ZeroDivisionError):
        scheduler.run_due()
    assert scheduler.run_due()
    assert done == ["first", "last"]
    assert scheduler.next_due() is None
