"""Corrections that were guesses, and what becomes of them when their true fills come."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from broker.models import Account
from orders.models import Fill
from positions.accounting import LedgerEntry
from positions.models import Adjustment, Position
from positions.rebuilding import ledger_of, rebuild_positions
from reconciliation.guesses import guesses_to_take_back
from reconciliation.recorded import load_record
from tests.factories import make_adjustment
from tests.reconciliation.mending import repair, shown, undo
from tests.reconciliation.steps import books, open_books, open_roots, placed, record_as
from tests.reconciliation.test_order_conditions import evidence_of
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(sim_account: Account, sim: SimAccount) -> Account:
    open_books(sim_account)
    sim.price("QCOM", "100")
    return sim_account


def test_guess_whose_true_fill_is_booked_is_the_cause(account: Account, sim: SimAccount) -> None:
    raw = placed(sim, client_order_id="ts-1-1-a")
    make_adjustment(account, kind="correction", qty="10", price="97", reference="fix:99:1", is_estimated=True,
                    effective_at=timezone.now(), recorded_at=timezone.now())  # fmt: skip
    record_as(account, sim, raw)
    before = books()
    assert shown(account) == {"inferred_superseded": ["position_qty"]}
    (root,) = open_roots(account)
    assert root.sentence == (
        "The correction of 10 QCOM was a guess, and counts twice: its 1 true fill came later and is counted beside it."
    )
    assert root.local["true_fills"] == [Fill.objects.get().activity_id]
    fixes = repair(account, sim)
    assert (fixes[0].action, fixes[0].is_safe_copy) == ("take_back", True)
    assert not Adjustment.objects.exists()
    assert not Position.objects.get().is_estimated
    undo(fixes)
    assert books() == before


def test_guess_that_only_happens_to_fit_is_no_safe_copy(account: Account, sim: SimAccount) -> None:
    record_as(account, sim, placed(sim, client_order_id="ts-1-1-a"))
    make_adjustment(account, kind="correction", qty="10", price="97", reference="fix:99:1", is_estimated=True,
                    effective_at=timezone.now(), recorded_at=timezone.now())  # fmt: skip
    rebuild_positions(account=account, symbols={"QCOM"}, now=timezone.now())
    assert shown(account) == {"inferred_superseded": ["position_qty"]}
    assert not repair(account, sim)[0].is_safe_copy


def guess_both_sides(account: Account, sim: SimAccount) -> list[dict[str, Any]]:
    """Bought and sold by guesses, and then at Alpaca: every quantity is right, and the profit would stand twice."""
    for number, (qty, price) in enumerate([("10", "97"), ("-10", "99")], start=1):
        make_adjustment(account, kind="correction", qty=qty, price=price, reference=f"fix:{number}:1",
                        is_estimated=True, effective_at=timezone.now(), recorded_at=timezone.now())  # fmt: skip
    orders = [placed(sim, client_order_id="ts-1-1-a"), placed(sim, client_order_id="ts-1-2-b", side="sell")]
    Adjustment.objects.update(effective_at=timezone.now())
    rebuild_positions(account=account, symbols={"QCOM"}, now=timezone.now())
    assert Position.objects.get().realized_pl == 20
    return orders


def test_guesses_that_leave_no_share_between_them_count_twice_when_both_fills_are_booked(
    account: Account, sim: SimAccount
) -> None:
    for raw in guess_both_sides(account, sim):
        record_as(account, sim, raw)
    before = books()
    assert shown(account) == {"inferred_superseded": []}
    (root,) = open_roots(account)
    assert root.sentence == (
        "Corrections of QCOM that leave no share between them were guesses, and count twice: "
        "their 2 true fills came later and are counted beside them."
    )
    fixes = repair(account, sim)
    assert fixes[0].is_safe_copy
    assert not Adjustment.objects.exists()
    assert Position.objects.get().realized_pl == 0
    undo(fixes)
    assert books() == before


def test_guesses_that_leave_no_share_between_them_give_way_to_both_fills(account: Account, sim: SimAccount) -> None:
    guess_both_sides(account, sim)
    assert shown(account) == {"our_order_unlinked": []}
    repair(account, sim)
    assert not Adjustment.objects.exists()
    assert Position.objects.get().realized_pl == 0


@pytest.mark.parametrize("sold", ["0", "-7"], ids=["no sale came", "another sale came"])
def test_guesses_whose_fills_came_only_in_part_stay(account: Account, sim: SimAccount, sold: str) -> None:
    """Books that agree are left alone unless every share on either side has its fill."""
    guess_both_sides(account, sim)
    (entries,) = ledger_of(account, {"QCOM"}).values()
    at = entries[0].at
    came = {"a": "10", "b": sold}
    fills = [LedgerEntry(at=at, order_key=key, qty=Decimal(qty), price=Decimal(97)) for key, qty in came.items()]
    balance = LedgerEntry(
        at=at, order_key="older", qty=-sum((fill.qty for fill in fills), Decimal(0)), price=Decimal(97)
    )
    record = replace(
        load_record(account=account, evidence=evidence_of()),
        ledgers={"QCOM": (*entries, *fills, balance)},
        came_later=dict.fromkeys([entry.order_key for entry in entries], tuple(came)),
    )
    assert guesses_to_take_back("QCOM", [], record, evidence_of()) == ()
