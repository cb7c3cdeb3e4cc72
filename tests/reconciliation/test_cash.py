"""The cash ledger, end to end: opened by a sound run, kept by copies, corrected with a reason, never a second story."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from broker.models import Account
from orders.models import Fill
from positions.cash import cash_books, forget_subtotal, paid_by_fills
from positions.models import CashEntry, CashTally
from positions.rebuilding import rebuild_position
from reconciliation.applying import apply_approved
from reconciliation.approving import approve_fixes
from reconciliation.errors import NeedsOverride
from reconciliation.models import Drift, Fix, ReadingCursor
from reconciliation.presentation import consequence_of
from reconciliation.receipts import written_by
from reconciliation.undoing import undo_fix
from reconciliation.verifying import verify_account
from tests.factories import make_account, make_fill
from tests.reconciliation.steps import backfill_all, kinds, open_books, open_roots, placed, reconcile, record_as
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db(transaction=True)


def opened(account: Account) -> None:
    open_books(account)
    assert reconcile(account).state == "in_sync"
    assert CashEntry.objects.filter(account=account, activity_type="OPENING").exists()


def expected(account: Account) -> Decimal:
    found = cash_books(account)
    assert found is not None
    return found.expected


def test_the_first_sound_run_opens_the_cash_ledger_with_what_makes_the_sum_right(sim_account: Account, sim: SimAccount):
    sim.price("QCOM", "170.25")
    open_books(sim_account)
    record_as(sim_account, sim, placed(sim, client_order_id="ts-cash-1"))
    sim.act("activity", key_id=sim.key_id, activity_type="DIV", symbol="QCOM", net_amount="4.79")
    assert reconcile(sim_account).state == "in_sync"
    assert {(e.activity_type, e.net_amount) for e in CashEntry.objects.all()} == {
        ("OPENING", 100000),
        ("DIV", Decimal("4.79")),
    }
    assert expected(sim_account) == Decimal(sim.api("GET", "/v2/account")["cash"]) == Decimal("98302.29")


def test_books_that_differ_are_not_opened(sim_account: Account, sim: SimAccount):
    open_books(sim_account)
    placed(sim)
    assert reconcile(sim_account).state == "drift"
    assert cash_books(sim_account) is None
    backfill_all(sim_account)
    assert reconcile(sim_account).state == "in_sync"
    assert expected(sim_account) == Decimal(sim.api("GET", "/v2/account")["cash"])


def test_a_dividend_is_a_safe_copy(sim_account: Account, sim: SimAccount):
    opened(sim_account)
    sim.act("activity", key_id=sim.key_id, activity_type="DIV", symbol="QCOM", net_amount="4.79")
    reconcile(sim_account)
    assert kinds(sim_account) == {"cash_activity": []}
    (root,) = open_roots(sim_account)
    assert root.sentence.startswith("The account received $4.79: a dividend of QCOM (DIV) of ")
    assert root.fix is not None
    assert root.fix.is_safe_copy
    applied = backfill_all(sim_account)
    assert applied.all_verified
    assert reconcile(sim_account).state == "in_sync"
    assert CashEntry.objects.get(activity_type="DIV").symbol == "QCOM"

    undo_fix(fix=applied.fixes[0], actor="ops", now=timezone.now())
    reconcile(sim_account)
    assert kinds(sim_account) == {"cash_activity": []}


def test_missing_fills_are_no_missing_money(sim_account: Account, sim: SimAccount):
    opened(sim_account)
    placed(sim)
    reconcile(sim_account)
    assert kinds(sim_account) == {"external_order": ["position_broker_only"]}
    assert backfill_all(sim_account).all_verified
    assert reconcile(sim_account).state == "in_sync"


def test_each_fix_says_what_it_does_to_the_cash_and_what_it_closes(sim_account: Account, sim: SimAccount):
    opened(sim_account)
    sim.price("QCOM", "100")
    placed(sim)
    reconcile(sim_account)
    fix = Fix.objects.get()
    assert [fix.before["cash"], fix.broker["cash"], fix.after["cash"]] == [
        {"balance": "100000"}, {"balance": "99000"}, {"balance": "99000"},
    ]  # fmt: skip
    assert [item["kind"] for item in fix.after["closes"]] == ["position_broker_only"]
    assert "Cash on record becomes $99,000.00. It closes 1 other difference." in consequence_of(fix)


def test_money_that_nothing_explains_needs_a_persons_reason(sim_account: Account, sim: SimAccount):
    opened(sim_account)
    sim.act("money", key_id=sim.key_id, cash="-250.40")
    reconcile(sim_account)
    assert kinds(sim_account) == {"cash": []}
    (root,) = open_roots(sim_account)
    assert "$99,749.60 in cash, $250.40 less than the entries and fills on record lead to" in root.sentence
    fixes = list(Fix.objects.proposed())
    assert [(fix.title, fix.is_safe_copy) for fix in fixes] == [("Book −$250.40 of cash that nothing explains", False)]
    with pytest.raises(NeedsOverride, match="Nothing explains this money"):
        approve_fixes(fixes=fixes, actor="ops", now=timezone.now())
    approve_fixes(fixes=fixes, actor="ops", now=timezone.now(), override_reason="Wire fee, see letter of 3 May")
    applied = apply_approved(account=sim_account, actor="ops")
    assert applied.all_verified
    entry = CashEntry.objects.get(activity_type="CORRECTION")
    assert (entry.net_amount, entry.description) == (Decimal("-250.40"), "Wire fee, see letter of 3 May (ops)")
    assert reconcile(sim_account).state == "in_sync"

    undo_fix(fix=applied.fixes[0], actor="ops", now=timezone.now())
    reconcile(sim_account)
    assert kinds(sim_account) == {"cash": []}


def test_cash_is_not_judged_while_a_position_differs_that_no_fill_explains(sim_account: Account, sim: SimAccount):
    opened(sim_account)
    sim.act("money", key_id=sim.key_id, cash="-1000")
    reconcile(sim_account)
    assert kinds(sim_account) == {"cash": []}
    sim.act("transfer", key_id=sim.key_id, symbol="KO", qty="3", activity_type="WHAT")
    reconcile(sim_account)
    # It stands as it was: this run cannot say anything about it.
    assert set(kinds(sim_account)) == {"cash", "position_broker_only"}


def test_an_equity_that_is_not_its_parts_is_told_and_has_no_repair(sim_account: Account, sim: SimAccount):
    opened(sim_account)
    sim.act("money", key_id=sim.key_id, equity_off="300")
    reconcile(sim_account)
    assert kinds(sim_account) == {"equity": []}
    assert not Fix.objects.exists()
    sim.act("money", key_id=sim.key_id, equity_off="0")
    assert reconcile(sim_account).state == "in_sync"


def test_an_imported_account_is_in_sync_with_its_old_entries(sim_account: Account, sim: SimAccount):
    sim.act("activity", key_id=sim.key_id, activity_type="FEE", net_amount="-0.02")
    sim.price("QCOM", "170.333")
    placed(sim, qty="3")
    assert reconcile(sim_account).state == "in_sync"
    assert reconcile(sim_account).state == "in_sync"
    assert not Drift.objects.exists()
    assert expected(sim_account) == Decimal(sim.api("GET", "/v2/account")["cash"])


def test_verify_adds_the_cash_up(sim_account: Account, sim: SimAccount):
    opened(sim_account)
    assert verify_account(account=sim_account, now=timezone.now()).is_equal
    sim.act("money", key_id=sim.key_id, cash="10")
    found = verify_account(account=sim_account, now=timezone.now())
    assert found.cash == [{"added_up": "100000", "broker": "100010"}]
    assert not found.is_equal


# --- Adding up ------------------------------------------------------------------------------------------------


def test_each_fill_is_paid_in_cents(db: None):
    make_fill(qty="3", price="33.333")
    make_fill(side="sell", qty="0.5", price="10.005")
    paid = paid_by_fills(make_account())
    assert (paid.net, paid.fills, paid.uneven) == (Decimal("-100.00") + Decimal("5.00"), 2, 2)


def test_the_subtotal_is_used_and_mended_when_added_up_anew(db: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("positions.cash.WORTH_SAVING", 2)
    first = make_fill(qty="1", price="10")
    make_fill(qty="1", price="20")
    assert paid_by_fills(make_account()).net == -30
    tally = CashTally.objects.get()
    assert (tally.fills, tally.net) == (2, -30)
    make_fill(qty="1", price="5")
    assert paid_by_fills(make_account()).net == -35
    assert CashTally.objects.get().fills == 2
    Fill.objects.filter(pk=first.pk).delete()
    assert paid_by_fills(make_account(), anew=True).net == -25
    tally = CashTally.objects.get()
    assert (tally.fills, tally.net) == (2, -25)
    assert paid_by_fills(make_account()).net == -25


def test_a_wrong_subtotal_is_neither_shown_as_missing_money_nor_kept(sim_account: Account, sim: SimAccount):
    opened(sim_account)
    record_as(sim_account, sim, placed(sim, client_order_id="ts-cash-3"))
    assert reconcile(sim_account).state == "in_sync"
    last = Fill.objects.latest("pk").pk
    CashTally.objects.create(account=sim_account, through_fill=last, fills=1, net=Decimal(-7), uneven=0)
    assert reconcile(sim_account).state == "in_sync"
    assert not CashTally.objects.filter(net=Decimal(-7)).exists()


def test_the_receipt_names_the_cash_entry(sim_account: Account, sim: SimAccount):
    opened(sim_account)
    sim.act("activity", key_id=sim.key_id, activity_type="FEE", net_amount="-0.02")
    reconcile(sim_account)
    (fix,) = backfill_all(sim_account).fixes
    row = written_by(fix)[0]
    assert (row.act, row.what) == ("added", "FEE of \N{MINUS SIGN}0.02 dollars")


def test_a_fill_with_another_price_is_no_second_story(sim_account: Account, sim: SimAccount):
    open_books(sim_account)
    record_as(sim_account, sim, placed(sim, client_order_id="ts-cash-2"))
    assert reconcile(sim_account).state == "in_sync"
    assert cash_books(sim_account) is not None
    Fill.objects.update(price=Decimal(1))
    forget_subtotal(sim_account)
    rebuild_position(account=sim_account, symbol="QCOM", now=timezone.now())
    reconcile(sim_account)
    assert set(kinds(sim_account)) == {"fill_values_differ"}


def test_what_is_missing_from_long_ago_is_looked_for_before_money_is_called_unexplained(
    sim_account: Account, sim: SimAccount
):
    opened(sim_account)
    for side, price in (("buy", "100"), ("sell", "110")):
        sim.price("QCOM", price)
        placed(sim, side=side)
    far = timezone.now() + timedelta(days=30)
    ReadingCursor.objects.update(orders_read_to=far, activities_read_to=far)
    reconcile(sim_account)
    assert "cash" not in kinds(sim_account)
    assert set(kinds(sim_account)) == {"external_order"}
