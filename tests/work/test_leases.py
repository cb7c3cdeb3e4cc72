"""Leases when the clock of the computer is set, which neither frees what is held nor holds what is lost."""

import os
from datetime import timedelta

import psutil
import pytest

from tests.factories import NOW
from work import leases
from work.holders import is_gone, this_process


@pytest.mark.django_db
def test_a_lease_from_when_the_clock_was_a_day_fast_is_worth_nothing():
    assert leases.take("queued:execute:1", seconds=10, now=NOW + timedelta(days=1), holder="queue")
    assert leases.is_free("queued:execute:1", now=NOW)
    assert leases.take("queued:execute:1", seconds=10, now=NOW, holder="queue")


@pytest.mark.django_db
def test_a_taker_whose_clock_reading_is_a_minute_old_does_not_take_a_live_lease():
    assert leases.take("account:sim", seconds=60, now=NOW)
    assert not leases.take("account:sim", seconds=60, now=NOW - timedelta(minutes=1))


@pytest.mark.skipif(not psutil.LINUX, reason="only there start times count from the system's start")
def test_a_living_process_is_not_taken_for_gone_when_the_clock_is_set(monkeypatch):
    """Start times are told from the system's start, and that moves on the calendar with the clock."""
    holder, before = this_process(), psutil.boot_time()
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: before + 3600)
    assert psutil.Process(os.getpid()).create_time() > before
    assert not is_gone(holder)
    assert is_gone(holder.replace(f":{os.getpid()}:", ":4194305:"))
