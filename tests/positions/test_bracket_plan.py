"""A position entered by a bracket has the bracket's stop and target, until somebody moves the plan."""

from decimal import Decimal

import pytest

from positions.models import Position
from positions.parameters import change_parameters
from positions.rebuilding import compute_positions, differences, rebuild_position
from tests.factories import NOW, make_account, make_adjustment, make_fill, make_order, minutes

pytestmark = pytest.mark.django_db


def enter(*, side="buy", price="98.5", stop="92", target="116", at=0, qty="10"):
    order = make_order(
        side=side, status="filled", order_class="bracket", recorded_at=minutes(at), qty=qty,
        stop_loss_stop_price=Decimal(stop), take_profit_limit_price=Decimal(target),
    )  # fmt: skip
    make_fill(order, price=price, qty=qty, at=minutes(at + 1))
    return order


def rebuilt(at=60):
    account = make_account()
    rebuild_position(account=account, symbol="QCOM", now=minutes(at))
    rows = list(Position.objects.all())
    assert differences(rows, compute_positions(account, now=minutes(at))) == []
    for row in rows:  # and from nothing it comes out the same
        row.delete()
    rebuild_position(account=account, symbol="QCOM", now=minutes(at))
    assert differences(rows, Position.objects.all()) == []
    return Position.objects.get()


def test_what_was_sent_is_the_plan_and_the_risk_is_of_the_fill():
    order = enter()
    row = rebuilt()
    assert (row.stop_loss, row.target) == (Decimal(92), Decimal(116))
    assert (row.risk_per_share, row.total_risk) == (Decimal("6.5"), Decimal(65))
    assert (row.stop_loss_pct, row.target_pct) == (Decimal("6.6"), Decimal("17.77"))
    assert row.parameters_from == f"the bracket of order {order.pk}"


def test_a_short_is_mirrored():
    enter(side="sell", stop="108", target="84", price="101")
    row = rebuilt()
    assert (row.stop_loss, row.target, row.risk_per_share) == (Decimal(108), Decimal(84), Decimal(7))


def test_a_stop_that_the_fill_has_passed_risks_nothing_more():
    enter(price="91")
    assert rebuilt().total_risk == 0


def test_the_newest_bracket_among_the_entries_counts():
    enter()
    enter(stop="95", target="120", at=5)
    assert rebuilt().stop_loss == 95


def test_exits_and_other_entries_do_not_move_it():
    enter()
    make_fill(qty="4", price="90", at=minutes(10))
    make_fill(side="sell", qty="6", price="100", at=minutes(11))
    row = rebuilt()
    assert (row.qty, row.stop_loss) == (Decimal(8), Decimal(92))


def test_parameters_applied_to_open_positions_move_the_plan():
    enter()
    row = rebuilt()
    assert row.stop_loss == 92
    change_parameters(
        account=make_account(), symbol="QCOM", stop_loss_pct=Decimal(5), target_pct=Decimal(10), actor="admin",
        now=minutes(90), apply_to_open=True,
    )  # fmt: skip
    row = rebuilt(at=100)
    assert (row.stop_loss, row.parameters_from) == (Decimal("93.58"), "own parameters of QCOM")


def test_parameters_for_later_positions_do_not():
    enter()
    change_parameters(
        account=make_account(), symbol="QCOM", stop_loss_pct=Decimal(5), target_pct=Decimal(10), actor="admin",
        now=minutes(90), apply_to_open=False,
    )  # fmt: skip
    assert rebuilt(at=100).stop_loss == 92


def test_a_split_moves_it_with_the_shares():
    enter()
    make_adjustment(kind="split", qty="0", price="0", ratio=Decimal(4), effective_at=minutes(30))
    row = rebuilt()
    assert (row.qty, row.stop_loss, row.target) == (Decimal(40), Decimal(23), Decimal(29))


def test_a_closed_one_keeps_what_it_had():
    enter()
    make_fill(side="sell", price="92", at=minutes(20))
    row = rebuilt()
    assert (row.state, row.stop_loss, row.realized_pl) == ("closed", Decimal(92), Decimal(-65))
    assert row.r_multiple == -1


def test_the_leg_of_a_closed_bracket_that_still_works_is_no_entry():
    enter()
    make_order(side="sell", order_class="bracket", order_type="limit", raw={"position_intent": "sell_to_close"})
    make_fill(side="sell", price="92", at=minutes(20))
    rebuild_position(account=make_account(), symbol="QCOM", now=NOW)
    assert [row.state for row in Position.objects.all()] == ["closed"]
