"""A file is checked against Alpaca in few requests, and not at all if it cannot be used anyway."""

import pytest
from django.utils import timezone

from broker.errors import BrokerError
from orders.checking import check_batch
from orders.models import Batch
from orders.recording import record_batch
from tests.orders.conftest import ONE, SEVEN

pytestmark = pytest.mark.django_db


def check(account, text, filename="orders.csv"):
    return check_batch(account=account, data=text.encode(), filename=filename, now=timezone.now())


def test_a_good_file_is_usable(sim_account):
    checked = check(sim_account, "symbol,side,qty,order_type,limit_price\nAAPL,buy,2,limit,10.50\n")
    assert checked.is_usable
    assert checked.warnings == ()
    assert checked.notional == 21


def test_a_bad_file_asks_nobody(sim, sim_account):
    checked = check(sim_account, "symbol,side,qty\nAAPL,buy,x\n")
    assert not checked.is_usable
    assert sim.requests() == []


def test_an_unknown_symbol_is_named(sim_account):
    [error] = check(sim_account, "symbol,side,qty\nAAPL,buy,1\nNOSUCH,buy,1\n").errors
    assert str(error) == "line 3, symbol: expected a symbol that Alpaca knows, found 'NOSUCH'"


def test_many_symbols_are_asked_for_in_one_list(sim, sim_account):
    assert check(sim_account, SEVEN.replace("BMY", "NOSUCH")).errors[0].line == 8
    assert len(sim.requests()) == 5
    assert len(sim.requests("GET", "/v2/stocks/trades/latest")) == 1
    assert len(sim.requests("GET", "/v2/assets")) == 1


def test_a_file_that_was_recorded_today_is_refused(sim_account):
    checked = check(sim_account, ONE)
    batch = record_batch(account=sim_account, checked=checked, actor="ops", now=timezone.now(), scheduled_for=None)
    [error] = check(sim_account, '[{"symbol": "aapl", "side": "buy", "qty": 10.0}]', "same.json").errors
    assert f"batch {batch.pk}" in error.message


def test_another_account_that_answers_is_refused(sim_account):
    sim_account.broker_account_id, sim_account.broker_account_number = "other", "PA1"
    sim_account.save()
    sim_account.bound_at = timezone.now()
    [error] = check(sim_account, ONE).errors
    assert "another account answers" in error.message


def test_an_unreachable_broker_is_no_verdict(sim_account, settings):
    settings.ALPACA_BASE_URL = "http://127.0.0.1:9"
    with pytest.raises(BrokerError):
        check(sim_account, ONE)
    assert not Batch.objects.exists()
