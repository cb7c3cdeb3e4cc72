"""Alerts follow the conditions: one row for one trouble, told when it is new, worse or over, and throttled."""

from datetime import timedelta

import pytest

from alerts.addresses import parse
from alerts.channels import ensure_channels
from alerts.conditions import Condition
from alerts.kinds import AlertKind
from alerts.models import Alert, Channel, Delivery
from alerts.noting import note
from alerts.summing import sum_up
from reconciliation.kinds import Severity
from tests.factories import NOW, make_account


@pytest.fixture
def desk(db, settings):
    make_account()
    settings.ALERT_CHANNELS = parse("desk=json://127.0.0.1:1/")
    ensure_channels(NOW)
    return Channel.objects.get()


def at(seconds):
    return NOW + timedelta(seconds=seconds)


def drift(*numbers, severity=Severity.HIGH, key="drift:sim:high", kind=AlertKind.DRIFT):
    return Condition(
        key=key, kind=kind, severity=severity, account="sim", sentence=f"{len(numbers)} differ.",
        link="/reconciliation/?account=sim", things=frozenset(f"drift {number}" for number in numbers),
        number=len(numbers),
    )  # fmt: skip


def purposes():
    return list(Delivery.objects.order_by("id").values_list("purpose", flat=True))


def test_one_trouble_is_one_row_and_is_told_when_new_worse_and_over(desk):
    for seconds in range(0, 60, 5):
        note([drift(1, 2)], now=at(seconds))
    assert purposes() == ["new"]
    note([drift(1, 2, 3)], now=at(60))
    note([drift(1, 2, 3)], now=at(65))
    note([drift(1, 2)], now=at(70))
    assert purposes() == ["new", "worse"]
    alert = Alert.objects.get()
    assert (alert.number, alert.told_number, alert.first_seen_at) == (2, 3, NOW)
    for seconds in range(75, 300, 5):
        note([], now=at(seconds))
    assert purposes() == ["new", "worse", "resolved"]
    alert.refresh_from_db()
    assert alert.state == "closed"
    last = Delivery.objects.order_by("-id")[0]
    assert last.title == "Resolved: [sim] Drift"
    assert last.body.startswith("It is over; it lasted ")
    note([drift(1)], now=at(300))
    assert Alert.objects.count() == 2  # the same trouble again is another row
    assert purposes()[-1] == "new"


def test_what_comes_and_goes_within_seconds_is_one_trouble(desk):
    for seconds in range(0, 600, 10):
        note([drift(1)] if seconds % 20 else [], now=at(seconds))
    assert Alert.objects.count() == 1
    assert purposes() == ["new"]


def test_an_event_has_no_end_to_tell(desk):
    note([drift(1, kind=AlertKind.BATCH, key="batch:sim:halted")], now=at(0))
    note([], now=at(100))
    assert Alert.objects.get().state == "closed"
    assert purposes() == ["new"]


def test_that_late_orders_are_sent_at_last_is_told(desk):
    note([drift(1, kind=AlertKind.BATCH, key="batch:sim:late")], now=at(0))
    note([], now=at(100))
    assert purposes() == ["new", "resolved"]


def test_what_is_not_mended_is_not_called_resolved(desk):
    note([drift(1, kind=AlertKind.BATCH, key="batch:sim:late")], now=at(0))
    note([], now=at(100), ending=lambda key: f"{key} waits." if key == "batch:sim:late" else "")
    last = Delivery.objects.order_by("-id")[0]
    assert (last.title[:16], last.body.splitlines()[0]) == ("No longer told: ", "batch:sim:late waits.")


def test_what_was_told_and_is_over_is_no_reason_to_be_silent_about_as_many_new_ones(desk):
    note([drift(*range(10))], now=at(0))
    note([drift(9)], now=at(60))
    note([drift(9, 21, 22, 23, 24)], now=at(65))
    assert purposes() == ["new", "worse"]


def test_what_is_remembered_as_told_does_not_grow_for_ever(desk, monkeypatch):
    monkeypatch.setattr("alerts.noting.MOST_KEPT", 30)
    for look in range(20):
        note([drift(*range(10 * look, 10 * look + 10))], now=at(5 * look))
    assert purposes() == ["new"] + ["worse"] * 19
    assert len(Alert.objects.get().told_things) <= 40


def test_what_nobody_was_told_has_no_end_to_tell(desk):
    Channel.objects.update(lowest_severity="critical")
    note([drift(1)], now=at(0))
    note([], now=at(100))
    assert (Alert.objects.get().state, purposes()) == ("closed", [])


@pytest.mark.parametrize("change", [{"is_on": False}, {"lowest_severity": "critical"}, {"muted_kinds": ["drift"]}])
def test_a_channel_gets_what_it_takes(desk, change):
    Channel.objects.update(**change)
    note([drift(1)], now=at(0))
    assert purposes() == []
    Channel.objects.update(is_on=True, lowest_severity="high", muted_kinds=["worker"])
    note([drift(1)], now=at(5))
    assert purposes() == ["new"]


def test_a_storm_goes_out_as_so_many_and_one_summary(desk):
    Channel.objects.update(most_an_hour=8)
    for number in range(30):
        note([drift(number, key=f"drift:{number}")], now=at(number))
    states = list(Delivery.objects.order_by("id").values_list("state", flat=True))
    assert states == ["waiting"] * 6 + ["held"] * 24
    assert sum_up(at(300)) == 0  # still gathering
    assert sum_up(at(700)) == 1
    summary = Delivery.objects.get(purpose="summary")
    assert summary.title == "24 more alerts in this hour"
    assert summary.body.count("Drift (high): 1 differ.") == 24
    assert Delivery.objects.filter(state="summed_up").count() == 24
    assert sum_up(at(701)) == 0
    for number in range(10):
        note([drift(number, key=f"again:{number}")], now=at(710 + number))
    assert Delivery.objects.filter(state="held").exists()
    assert sum_up(at(1500)) == 0  # one summary an hour
    assert sum_up(at(4301)) == 1


def test_a_summary_begins_with_the_gravest_and_says_what_is_over(desk):
    Channel.objects.update(most_an_hour=0)
    note([drift(1, key="drift:1")], now=at(0))
    note([drift(2, key="drift:2", severity=Severity.CRITICAL)], now=at(100))
    assert Alert.objects.get(key="drift:1").state == "closed"
    sum_up(at(700))
    assert Delivery.objects.get(purpose="summary").body.splitlines()[:2] == [
        "- [sim] Drift (critical): 1 differ.",
        "- [sim] Drift (high), over meanwhile: 1 differ.",
    ]


def test_a_storm_of_lesser_troubles_leaves_room_for_a_critical_one(desk):
    Channel.objects.update(most_an_hour=8)
    for number in range(30):
        note([drift(number, key=f"drift:{number}")], now=at(number))
    for number in range(5):
        note([drift(number, severity=Severity.CRITICAL, key=f"grave:{number}")], now=at(40 + number))
    grave = Delivery.objects.filter(severity="critical").order_by("id")
    assert [row.state for row in grave] == ["waiting", "waiting", "held", "held", "held"]
    note([drift(1, key="later")], now=at(3700))
    assert Delivery.objects.get(alert__key="later").state == "waiting"  # the hour is over


def test_a_second_look_out_tells_nothing_twice(desk):
    """Both have read that the alert is untold, or not there; one of them writes."""
    from alerts import noting

    note([drift(1)], now=at(0))
    stale = Alert.objects.get()
    note([drift(1, 2)], now=at(5))
    noting._keep(stale, drift(1, 2), [desk], at(5))
    noting._open(drift(1, 2), None, [desk], at(6))
    assert purposes() == ["new", "worse"]
    assert Alert.objects.count() == 1
