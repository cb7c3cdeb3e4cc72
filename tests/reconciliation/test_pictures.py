"""What a person sees of a fix before deciding: what changes and where, and nothing that only a computer reads."""

from types import SimpleNamespace

import pytest
from django.test import Client

from broker.models import Account
from reconciliation.models import Drift
from reconciliation.presentation import consequence_of
from tests.factories import make_account
from tests.reconciliation.rows import INDEX, make_drift, make_fix, make_run, page
from tests.reconciliation.steps import open_books, placed, reconcile, record_as
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db

ACTIVITY = "20251106140000000::99285012-6118-4359-96af-5798dbce8661"


@pytest.fixture
def account(db: None) -> Account:
    return make_account(name="Simulator")


@pytest.fixture
def ops(client: Client, people: SimpleNamespace) -> Client:
    client.force_login(people.ops)
    return client


def test_an_act_at_alpaca_is_compared_with_what_alpaca_has(ops: Client, account: Account) -> None:
    order = {"side": "sell", "qty": "6", "stop_price": "92", "status": "new"}
    run = make_run(account)
    sides = {"before": {"order": {}}, "broker": {"order": order}, "after": {"order": {**order, "qty": "10"}}}
    fix = make_fix(run, "QCOM", acts_at_broker=True, is_safe_copy=False, plan=[], **sides)
    make_drift(run, "QCOM", fix=fix)
    text = page(ops)
    assert "Adds the order" not in text
    assert "Places at Alpaca" not in text
    assert '<th scope="row">qty</th><td>–</td><td>6</td><td class="is-after">10</td>' in text
    assert '<th scope="row">stop price</th>' not in text
    assert "<td>92.00</td><td>92.00</td>" in page(ops, f"{INDEX}?fields=all")


def test_an_order_that_is_to_be_placed_is_placed_and_not_added(ops: Client, account: Account) -> None:
    run, after = make_run(account), {"order": {"side": "sell", "qty": "10", "symbol": "QCOM", "stop_price": "92"}}
    sides = {"before": {"order": {}}, "broker": {"order": {}}, "after": after}
    fix = make_fix(run, "QCOM", acts_at_broker=True, is_safe_copy=False, plan=[], **sides)
    make_drift(run, "QCOM", fix=fix)
    assert "Places at Alpaca the order: <strong>sell 10 QCOM</strong>" in page(ops)


@pytest.mark.parametrize(
    ("order_class", "told"), [("", "stop 92."), ("oco", "stop 92, and what is paired with it ends")]
)
def test_a_cancel_names_a_pair_only_where_there_is_one(account: Account, order_class: str, told: str) -> None:
    was = {"order_class": order_class, "status": "new"}
    plan = [{"op": "cancel_order", "name": "sell 10 QCOM, stop 92", "was": was, "broker_order_id": "b1"}]
    fix = make_fix(make_run(account), "QCOM", acts_at_broker=True, plan=plan)
    assert f"cancel the order to sell 10 QCOM, {told}" in consequence_of(fix)


def test_a_fill_that_is_taken_out_is_told_without_its_id(ops: Client, account: Account) -> None:
    fill = {"activity_id": ACTIVITY, "side": "buy", "qty": "10", "price": "100"}
    fill["transaction_time"] = "2025-11-06T14:00:01.840640+00:00"
    gone = {"fill": dict.fromkeys(fill, ""), "position": {"state": "none", "qty": "0"}}
    run = make_run(account)
    held = {"state": "open", "qty": "10"}
    plan = [{"op": "take_out_fill"}]
    fix = make_fix(run, "QCOM", before={"fill": fill, "position": held}, broker={}, after=gone, plan=plan)
    make_drift(run, "QCOM", fix=fix)
    text = page(ops)
    assert ACTIVITY not in text
    assert "<td>100.00</td>" in text
    assert "2025-11-06 09:00:01 ET" in text
    assert "It writes a correction that takes one fill out. QCOM is no position any more." in text
    assert ACTIVITY in page(ops, f"{INDEX}?fields=all")


def test_what_is_about_no_symbol_is_named_in_the_question(ops: Client, account: Account) -> None:
    run = make_run(account)
    for symbol in ("", "QCOM"):
        make_drift(run, symbol, fix=make_fix(run, symbol), key=f"cash_activity:{symbol}")
    assert 'hx-confirm="Approve 2 backfills: cash, QCOM?"' in page(ops) or (
        'hx-confirm="Approve 2 backfills: QCOM, cash?"' in page(ops)
    )


def test_a_replacement_is_told_with_what_it_has_otherwise(sim_account: Account, sim: SimAccount) -> None:
    open_books(sim_account)
    order = placed(sim, type="limit", limit_price="5.00", time_in_force="gtc", wait="new")
    record_as(sim_account, sim, order)
    sim.api("PATCH", f"/v2/orders/{order['id']}", json={"limit_price": "6.00"})
    reconcile(sim_account)
    drift = Drift.objects.get(kind="replace_chain")
    assert "(limit price 6 instead of 5), which is not recorded" in drift.sentence
