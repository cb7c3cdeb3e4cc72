"""Adjustments: explicit entries with a reason, once, in one transaction with their positions and the journal."""

from datetime import timedelta
from decimal import Decimal

import pytest

from audit.models import AuditEntry
from positions.errors import InvalidAdjustment
from positions.models import Adjustment, Position
from positions.opening import book_average_price, book_correction, book_opening_balance
from tests.factories import NOW, make_account, make_fill, minutes

pytestmark = pytest.mark.django_db


def opening(**more):
    values = {
        "account": make_account(),
        "symbol": "APH",
        "qty": Decimal("58"),
        "price": Decimal("135.00"),
        "effective_at": minutes(-60),
        "reason": "Held before the books were opened.",
        "is_estimated": True,
        "actor": "ops",
        "now": NOW,
    }
    return {**values, **more}


def test_an_opening_balance_makes_a_position_and_an_entry_in_the_journal():
    adjustment = book_opening_balance(**opening())
    row = Position.objects.get()
    assert (row.symbol, row.state, row.qty, row.avg_entry_price) == ("APH", "open", 58, 135)
    assert (row.opened_at, row.stop_loss, row.is_estimated) == (minutes(-60), Decimal("124.20"), True)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.subject_id) == ("adjustment.booked", "ops", str(adjustment.pk))
    assert entry.summary == "Opening balance 58 APH @ 135.00 (estimated)"
    assert entry.reason == "Held before the books were opened."


def test_the_same_booking_twice_is_one_booking():
    first = book_opening_balance(**opening())
    second = book_opening_balance(**opening(qty=Decimal("58.0"), price=Decimal(135), actor="admin", now=minutes(5)))
    assert first == second
    assert (Adjustment.objects.count(), AuditEntry.objects.count()) == (1, 1)
    assert Position.objects.get().qty == 58


def test_the_same_booking_in_another_account_is_another_booking():
    book_opening_balance(**opening())
    book_opening_balance(**opening(account=make_account("paper")))
    assert Adjustment.objects.count() == 2


def test_a_short_opens_with_a_negative_quantity():
    book_opening_balance(**opening(qty=Decimal(-5)))
    assert Position.objects.get().side == "short"


def test_a_correction_adds_and_takes_like_a_fill():
    book_opening_balance(**opening())
    book_correction(**opening(qty=Decimal(-8), price=Decimal(140), effective_at=NOW, is_estimated=False))
    row = Position.objects.get()
    assert (row.qty, row.avg_entry_price, row.realized_pl) == (50, 135, 40)


def test_a_split_is_a_correction_without_cost():
    book_opening_balance(**opening(qty=Decimal(10), price=Decimal(100)))
    book_correction(**opening(qty=Decimal(90), price=Decimal(0), effective_at=NOW))
    row = Position.objects.get()
    assert (row.qty, row.avg_entry_price, row.stop_loss, row.total_risk) == (100, 10, Decimal("9.20"), 80)


def test_an_average_price_moves_the_average_and_realises_nothing():
    make_fill(symbol="APH", qty="10", price="100", at=minutes(-30))
    values = opening(price=Decimal(110), effective_at=NOW)
    del values["qty"]
    book_average_price(**values)
    row = Position.objects.get()
    assert (row.qty, row.avg_entry_price, row.cost_basis, row.realized_pl) == (10, 110, 1100, 0)
    assert row.stop_loss == Decimal("101.20")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"symbol": ""}, "symbol"),
        ({"symbol": "aph"}, "symbol"),
        ({"symbol": " APH"}, "symbol"),
        ({"qty": Decimal(0)}, "qty"),
        ({"qty": Decimal("NaN")}, "qty"),
        ({"price": Decimal(0)}, "price"),
        ({"price": Decimal(-1)}, "price"),
        ({"price": Decimal("Infinity")}, "price"),
        ({"effective_at": NOW + timedelta(seconds=1)}, "effective_at"),
        ({"effective_at": NOW.replace(tzinfo=None)}, "effective_at"),
        ({"reason": "  "}, "reason"),
        ({"reason": "x" * 301}, "reason"),
    ],
)
def test_what_the_ledger_cannot_hold_is_refused_with_a_sentence(wrong, field):
    with pytest.raises(InvalidAdjustment) as refused:
        book_opening_balance(**opening(**wrong))
    assert refused.value.field == field
    assert str(refused.value).endswith(".")
    assert not Adjustment.objects.exists()


def test_neither_row_nor_position_without_the_journal(monkeypatch):
    def broken(**_values):
        raise RuntimeError("the disk is full")

    monkeypatch.setattr("audit.journal.record", broken)
    with pytest.raises(RuntimeError):
        book_opening_balance(**opening())
    assert not Adjustment.objects.exists()
    assert not Position.objects.exists()
