"""One of all lookouts looks at a time; another takes over; nothing that goes wrong ends it."""

import threading
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from alerts import lookout
from alerts.addresses import parse
from alerts.courier import Courier
from alerts.lookout import LEASE, LEASE_SECONDS, Lookout
from alerts.models import Alert, Delivery
from alerts.sending import Outcome
from broker.models import Account
from tests.factories import make_account
from tests.simulation import wait_for
from work import leases
from work.holders import this_process
from work.models import Lease


class Letters(Courier):
    """Keeps what it carries."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, str]] = []
        super().__init__(self._keep)

    def _keep(self, channel, message):
        self.kept.append((channel, message.title))
        return Outcome(was_sent=True, words="Sent.")


@pytest.fixture
def halted(db, settings):
    settings.ALERT_CHANNELS = parse("desk=json://127.0.0.1:1/")
    make_account()
    Account.objects.update(sending_halted=True, halted_at=timezone.now(), halted_by="ops")


def test_a_look_tells_at_once(halted):
    letters = Letters()
    assert Lookout(letters).step()
    assert letters.kept == [("desk", "[sim] Kill switch on (high)")]
    assert Delivery.objects.get().state == "sent"


def test_another_one_looks_only_when_the_first_is_gone(halted):
    now = timezone.now()
    Lease.objects.create(name=LEASE, holder="elsewhere:1:2.00", expires_at=now + timedelta(seconds=LEASE_SECONDS))
    letters = Letters()
    assert Lookout(letters).step()
    assert (Alert.objects.count(), letters.kept) == (0, [])
    Lease.objects.update(expires_at=now - timedelta(seconds=1))
    Lookout(letters).step()
    assert len(letters.kept) == 1
    assert Lease.objects.get().holder == this_process()


def test_what_was_sent_while_the_lease_was_lost_is_noted_and_not_sent_again(halted):
    may_end = threading.Event()

    def slow(_channel, _message):
        may_end.wait(10)
        return Outcome(was_sent=True, words="Sent.")

    courier = Courier(slow)
    watch = Lookout(courier)
    lookout.look_and_note()
    courier.carry(timezone.now, seconds=0)
    assert Delivery.objects.get().state == "sending"
    until = timezone.now() + timedelta(minutes=5)
    Lease.objects.create(name=LEASE, holder="elsewhere:1:2.00", expires_at=until)
    may_end.set()
    wait_for(lambda: watch.step() and Delivery.objects.get().state == "sent", "the outcome")


def test_what_is_recorded_goes_out_even_if_looking_fails(halted, monkeypatch):
    letters = Letters()
    watch = Lookout(letters)
    lookout.look_and_note()

    def fails() -> None:
        raise RuntimeError("a fault in a condition")

    monkeypatch.setattr(lookout, "look_and_note", fails)
    assert not watch.step()
    assert len(letters.kept) == 1


def test_a_database_that_is_away_delays_and_ends_nothing(halted, monkeypatch):
    def is_away(*_args: object, **_options: object) -> bool:
        raise OperationalError("database is locked")

    letters = Letters()
    watch = Lookout(letters)
    monkeypatch.setattr("django.db.connection.close", lambda: None)  # it is the test's own
    with monkeypatch.context() as patched:
        patched.setattr(leases, "renew", is_away)
        assert not watch.step()
    assert watch.step()
    assert len(letters.kept) == 1


@pytest.mark.django_db(transaction=True)
def test_the_thread_looks_again_and_again_and_ends_when_asked(settings, monkeypatch):
    settings.ALERT_CHANNELS = parse("desk=json://127.0.0.1:1/")
    make_account()
    Account.objects.update(sending_halted=True, halted_at=timezone.now(), halted_by="ops")
    monkeypatch.setattr(lookout, "LOOK_SECONDS", 0.05)
    letters = Letters()
    watch = Lookout(letters)
    watch.start()
    try:
        wait_for(lambda: letters.kept, "the message")
    finally:
        watch.stop()
    assert not watch.is_alive()
    assert leases.is_free(LEASE, now=timezone.now())
    assert threading.active_count() < 20
