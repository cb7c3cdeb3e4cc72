"""The time line of one position: what is in it, in which order, and what belongs to another round trip."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from positions.models import ParameterChange, Position
from positions.parameters import change_parameters
from positions.position_page import history_of
from positions.rebuilding import rebuild_position
from reconciliation.models import Fix, Run
from tests.factories import NOW, make_account, make_adjustment, make_batch, make_fill, make_order, minutes

pytestmark = pytest.mark.django_db


def rebuilt(symbol="QCOM", sequence=1):
    rebuild_position(account=make_account(), symbol=symbol, now=NOW)
    return Position.objects.get(symbol=symbol, sequence=sequence)


def texts(position, kind=""):
    return [entry.text for entry in history_of(position).timeline if entry.kind == kind or not kind]


def make_fix(symbol="QCOM", **fields):
    account = make_account()
    run = Run.objects.create(account=account, trigger="demand", state="drift", requested_by="ops", requested_at=NOW)
    empty: dict[str, Any] = {"plan": [], "before": {}, "broker": {}, "after": {}}
    defaults = {"action": "import_order", "is_safe_copy": True, "fingerprint": "f", "proposed_at": minutes(3), **empty}
    title = f"Record our order buy 74 {symbol}"
    return Fix.objects.create(
        account=account, run=run, key=f"k{Fix.objects.count()}", symbol=symbol, title=title, **{**defaults, **fields}
    )


def change(symbol="QCOM", at=None, *, stop="7", apply_to_open=True):
    change_parameters(
        account=make_account(),
        symbol=symbol,
        stop_loss_pct=Decimal(stop),
        target_pct=Decimal(15),
        actor="admin",
        now=at or minutes(5),
        apply_to_open=apply_to_open,
    )


def test_everything_is_merged_newest_first():
    batch = make_batch(name="monday.csv", created_by="ops")
    order = make_order(
        qty="74", batch=batch, line_number=3, recorded_at=NOW, submitted_at=minutes(0.1), status="filled"
    )
    make_fill(order, qty="74", price="172.30", at=minutes(1))
    make_order(side="sell", order_type="limit", limit_price=Decimal(199), status="canceled", canceled_at=minutes(9),
               recorded_at=minutes(4), submitted_at=minutes(4))  # fmt: skip
    make_adjustment(kind="average", qty="0", price="172.5", effective_at=minutes(2), reason="Alpaca says so.")
    make_fix(state="verified", applied_at=minutes(3.5), approved_by="ops", undone_at=None)
    position = rebuilt()
    change()
    found = history_of(position).timeline
    assert [(entry.kind, entry.text) for entry in found] == [
        ("order", "Order ended: sell 10 QCOM limit 199.00"),
        ("parameters", "Parameters of QCOM: none of its own → stop 7 %, target 15 %"),
        ("order", "Order: sell 10 QCOM limit 199.00"),
        ("fix", "Record repaired: Record our order buy 74 QCOM"),
        ("adjustment", "Average price: 172.50"),
        ("fill", "Bought 74 at 172.30"),
        ("order", "Order: buy 74 QCOM market"),
    ]
    assert (found[-1].note, found[-1].who) == ("line 3 of monday.csv", "ops")
    assert (found[3].word, found[3].who) == ("verified", "ops")
    assert "Alpaca says so." in found[4].note


def test_fills_of_one_order_in_a_row_are_one_entry_with_their_average():
    order = make_order(qty="30")
    for number, price in enumerate(("10", "11", "12")):
        make_fill(order, qty="10", price=price, at=minutes(number))
    (fill,) = [entry for entry in history_of(rebuilt()).timeline if entry.kind == "fill"]
    assert fill.text == "Bought 30 in 3 fills, on average at 11.00"
    assert fill.note == "30 held after it"
    assert fill.at == minutes(2)


def test_a_short_is_told_as_sold_and_bought():
    make_fill(side="sell", qty="5", price="20", at=NOW)
    make_fill(side="buy", qty="5", price="18", at=minutes(1))
    assert texts(rebuilt(), "fill") == ["Bought 5 at 18.00", "Sold 5 at 20.00"]


def test_an_order_that_never_reached_the_market_says_why():
    make_fill(at=NOW)
    make_order(submission_state="rejected", refusal="insufficient buying power", recorded_at=minutes(2))
    entry = next(entry for entry in history_of(rebuilt()).timeline if entry.word == "rejected")
    assert entry.note == "insufficient buying power"


def test_each_round_trip_has_its_own_time_line():
    make_fill(side="buy", at=minutes(0), price="10")
    make_fill(side="sell", at=minutes(10), price="11")
    make_fix(state="verified", proposed_at=minutes(11), applied_at=minutes(12))
    make_fill(side="buy", at=minutes(20), price="12")
    make_fix(state="proposed", proposed_at=minutes(25))
    first, second = rebuilt(sequence=1), rebuilt(sequence=2)
    assert texts(first, "fill") == ["Sold 10 at 11.00", "Bought 10 at 10.00"]
    assert texts(second, "fill") == ["Bought 10 at 12.00"]
    assert len(texts(first, "order")) == 2
    assert len(texts(second, "order")) == 1
    assert texts(first, "fix") == ["Record repaired: Record our order buy 74 QCOM"]
    assert texts(second, "fix") == ["Repair proposed: Record our order buy 74 QCOM"]


def test_an_undone_repair_shows_both_steps():
    make_fill(at=NOW)
    make_fix(state="undone", applied_at=minutes(4), undone_at=minutes(6), undone_by="ops")
    assert texts(rebuilt(), "fix") == [
        "Repair undone: Record our order buy 74 QCOM",
        "Record repaired: Record our order buy 74 QCOM",
    ]


def test_withdrawn_and_stale_proposals_are_not_part_of_it():
    make_fill(at=NOW)
    make_fix(state="withdrawn")
    make_fix(state="stale")
    assert texts(rebuilt(), "fix") == []


@pytest.mark.parametrize(("apply_to_open", "count"), [(True, 1), (False, 0)])
def test_a_change_of_the_default_counts_if_it_moved_the_position(apply_to_open, count):
    make_fill(at=NOW)
    rebuilt()
    change("", apply_to_open=apply_to_open)
    assert len(texts(Position.objects.get(), "parameters")) == count


def test_changes_before_the_opening_and_after_the_close_are_left_out():
    make_fill(side="buy", at=minutes(10))
    make_fill(side="sell", at=minutes(20))
    for number, at in enumerate((minutes(1), minutes(15), minutes(30))):
        change(at=at, stop=f"{number + 1}")
    assert texts(rebuilt(), "parameters") == ["Parameters of QCOM: stop 1 %, target 15 % → stop 2 %, target 15 %"]


@pytest.mark.parametrize(
    ("own", "default", "in_force"), [(True, True, "Own parameters of QCOM"), (False, True, "Default of the account")]
)
def test_sources_say_which_rule_is_in_force_and_who_changed_it(own, default, in_force):
    make_fill(at=NOW)
    position = rebuilt()
    change("", at=minutes(1))
    if own:
        change("QCOM", at=minutes(2), stop="6")
    sources = history_of(position).sources
    (found,) = [source for source in sources if source.is_in_force]
    assert found.name == in_force
    assert (found.changed_by, found.changed_at) == ("admin", minutes(2 if own else 1))
    assert [source.is_set for source in sources] == [own, True, True]


def test_history_asks_the_same_number_of_queries_for_2_and_40_of_everything():
    def fill(count):
        for number in range(count):
            order = make_order(batch=make_batch())
            make_fill(order, qty="1", at=minutes(number))
            make_adjustment(qty="1", effective_at=minutes(number) + timedelta(seconds=1))
            make_fix(state="verified", applied_at=minutes(3))
        ParameterChange.objects.bulk_create(
            ParameterChange(account=make_account(), symbol="QCOM", at=minutes(n), actor="a", after=None, before=None)
            for n in range(count)
        )
        return rebuilt()

    def queries(position):
        with CaptureQueriesContext(connection) as captured:
            history_of(position)
        return len(captured)

    few = queries(fill(2))
    assert queries(fill(38)) == few
