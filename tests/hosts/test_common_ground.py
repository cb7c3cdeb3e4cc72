"""What the hosts of one database must have in common: the secret key and the time; and what ends a dead connection."""

from datetime import timedelta

import pytest
from django.core.management.base import CommandError
from django.utils import timezone

from orders.sending import LEASE_SECONDS
from tests.factories import NOW
from tradingsite import common_ground
from tradingsite.common_ground import KEY_SECONDS, disagreement, keep_key
from tradingsite.postgresql import CONNECT_SECONDS, OPTIONS, tuned
from tradingsite.preconditions import require_database
from work.models import Lease


@pytest.mark.django_db
def test_hosts_with_one_key_share_it(settings):
    settings.SECRET_KEY = "one"
    assert keep_key(now=NOW)
    assert keep_key(now=NOW + timedelta(seconds=100))
    assert keep_key(now=NOW + timedelta(seconds=2 * KEY_SECONDS))
    assert Lease.objects.get().expires_at == NOW + timedelta(seconds=3 * KEY_SECONDS)


@pytest.mark.django_db
def test_another_key_is_refused_until_nobody_runs_with_the_first(settings):
    settings.SECRET_KEY = "one"
    assert keep_key(now=NOW)
    settings.SECRET_KEY = "another"
    assert not keep_key(now=NOW + timedelta(seconds=KEY_SECONDS - 1))
    assert keep_key(now=NOW + timedelta(seconds=KEY_SECONDS))
    settings.SECRET_KEY = "one"
    assert not keep_key(now=NOW + timedelta(seconds=KEY_SECONDS + 1))


@pytest.mark.django_db
def test_the_key_itself_is_not_in_the_database(settings):
    settings.SECRET_KEY = "one that nobody must read"
    keep_key(now=NOW)
    assert settings.SECRET_KEY not in Lease.objects.get().holder


@pytest.fixture
def on_postgresql(monkeypatch, db):
    """As far as the comparison asks."""
    monkeypatch.setattr(common_ground, "_is_shared", lambda: True)
    monkeypatch.setattr(common_ground, "database_time", lambda: NOW)


@pytest.mark.usefixtures("on_postgresql")
@pytest.mark.parametrize(("seconds", "word"), [(-6, "6 s behind"), (-5, ""), (0, ""), (5, ""), (6, "6 s ahead of")])
def test_a_clock_that_differs_is_told(seconds, word):
    sentence = disagreement(lambda: NOW + timedelta(seconds=seconds))
    assert word in sentence
    assert bool(word) == bool(sentence)


@pytest.mark.usefixtures("on_postgresql")
def test_a_question_that_took_long_is_no_wrong_clock():
    """The database gave its time somewhere in between."""
    readings = iter([NOW - timedelta(seconds=30), NOW + timedelta(seconds=30)])
    assert disagreement(lambda: next(readings)) == ""


@pytest.mark.usefixtures("on_postgresql")
def test_another_key_is_told(settings):
    settings.SECRET_KEY = "one"
    keep_key(now=NOW)
    settings.SECRET_KEY = "another"
    sentence = disagreement(lambda: NOW)
    assert "SECRET_KEY" in sentence


@pytest.mark.usefixtures("on_postgresql")
def test_no_program_starts_on_a_host_that_differs(settings, monkeypatch):
    monkeypatch.setattr(common_ground, "database_time", timezone.now)
    settings.SECRET_KEY = "one"
    require_database()
    settings.SECRET_KEY = "another"
    with pytest.raises(CommandError, match="SECRET_KEY is not the one") as refused:
        require_database()
    assert refused.value.returncode == 2


def test_a_connection_is_given_up_before_the_shortest_lease_ends():
    silence = OPTIONS["keepalives_idle"] + OPTIONS["keepalives_interval"] * OPTIONS["keepalives_count"]
    for seconds in (silence, OPTIONS["tcp_user_timeout"] / 1000, CONNECT_SECONDS):
        assert seconds < LEASE_SECONDS


def test_the_address_has_the_last_word():
    database = tuned({"NAME": "trading", "OPTIONS": {"connect_timeout": 9, "sslmode": "require"}})
    assert database["OPTIONS"] == {**OPTIONS, "connect_timeout": 9, "sslmode": "require"}
    assert database["CONN_HEALTH_CHECKS"]
