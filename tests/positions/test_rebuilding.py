"""Rows follow the ledger: written once, in few statements, whatever happened and in whatever order."""

from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from orders.models import Fill
from positions.models import ParameterChange, Position, RiskParameters
from positions.rebuilding import compute_positions, differences, ledger_of, rebuild_position, rebuild_positions
from tests.factories import NOW, make_account, make_adjustment, make_fill, make_order, minutes
from tests.positions.test_risk import INCIDENT

pytestmark = pytest.mark.django_db


def rebuilt(symbol: str = "QCOM", *, now=NOW) -> list[Position]:
    rebuild_position(account=make_account(), symbol=symbol, now=now)
    return list(Position.objects.filter(symbol=symbol).order_by("sequence"))


def is_write(sql: str) -> bool:
    return sql.startswith(("INSERT", "UPDATE", "DELETE"))


def test_the_incident_s_buys_become_positions_to_the_cent():
    for symbol, qty, entry, *_ in INCIDENT:
        make_fill(symbol=symbol, qty=qty, price=entry)
    rebuild_positions(account=make_account(), symbols={row[0] for row in INCIDENT}, now=NOW)
    for symbol, qty, entry, stop, target, risk in INCIDENT:
        row = Position.objects.get(symbol=symbol)
        assert (row.state, row.qty, row.avg_entry_price) == ("open", Decimal(qty), Decimal(entry))
        assert (row.stop_loss, row.target, row.total_risk) == (Decimal(stop), Decimal(target), Decimal(risk))
    assert sum(row.total_risk for row in Position.objects.all()) == Decimal("3479.52")


def test_a_second_rebuild_writes_nothing():
    make_fill(qty="10")
    make_fill(side="sell", qty="3", symbol="NVDA")
    symbols = ["QCOM", "NVDA"]
    assert rebuild_positions(account=make_account(), symbols=symbols, now=NOW) == 2
    with CaptureQueriesContext(connection) as queries:
        assert rebuild_positions(account=make_account(), symbols=symbols, now=minutes(5)) == 0
    # PostgreSQL takes its turn by an UPDATE that changes nothing; SQLite has done so at BEGIN.
    written = [query["sql"] for query in queries if is_write(query["sql"])]
    assert [sql for sql in written if "positions_riskparameters" not in sql] == []
    assert not written or connection.vendor != "sqlite"
    assert Position.objects.filter(rebuilt_at=NOW).count() == 2


def test_no_symbols_is_no_work(django_assert_num_queries):
    account = make_account()
    with django_assert_num_queries(0):
        assert rebuild_positions(account=account, symbols=set(), now=NOW) == 0


def queries_for(symbols: list[str], *, now) -> int:
    with CaptureQueriesContext(connection) as queries:
        rebuild_positions(account=make_account(), symbols=symbols, now=now)
    return len(queries)


def test_the_number_of_statements_does_not_depend_on_the_number_of_symbols():
    few, many = [f"F{n}" for n in range(2)], [f"M{n}" for n in range(30)]
    rebuild_position(account=make_account(), symbol="OTHER", now=NOW)

    def bought(symbol):
        make_fill(symbol=symbol, at=minutes(0))

    def sold(symbol):
        make_fill(symbol=symbol, side="sell", at=minutes(1))

    def undone(symbol):
        Fill.objects.filter(symbol=symbol).delete()

    def entry_sent(symbol):
        make_order(symbol=symbol)

    for step in (bought, sold, undone, entry_sent):
        for symbol in (*few, *many):
            step(symbol)
        assert queries_for(few, now=minutes(2)) == queries_for(many, now=minutes(2))


def test_only_what_changed_is_written():
    make_fill(symbol="QCOM")
    make_fill(symbol="NVDA")
    rebuild_positions(account=make_account(), symbols=["QCOM", "NVDA"], now=NOW)
    make_fill(symbol="NVDA", at=minutes(1))
    assert rebuild_positions(account=make_account(), symbols=["QCOM", "NVDA"], now=minutes(1)) == 1
    assert Position.objects.get(symbol="QCOM").rebuilt_at == NOW
    assert Position.objects.get(symbol="NVDA").rebuilt_at == minutes(1)


def test_fills_and_adjustments_are_one_ledger():
    make_adjustment(qty="5", price="90", effective_at=minutes(-10), is_estimated=True)
    make_fill(qty="5", price="110")
    make_fill(side="sell", qty="2", price="120", at=minutes(1))
    (row,) = rebuilt()
    assert (row.qty, row.avg_entry_price, row.realized_pl) == (Decimal(8), Decimal(100), Decimal(40))
    assert row.is_estimated
    assert row.exit_qty == 2
    entries = ledger_of(make_account(), ["QCOM"])["QCOM"]
    assert sorted((str(entry.kind), int(entry.qty)) for entry in entries) == [("fill", -2), ("fill", 5), ("opening", 5)]


def test_each_account_has_its_own_positions():
    other = make_account("paper")
    make_fill(account=other, qty="7")
    make_fill(qty="3")
    rebuild_position(account=other, symbol="QCOM", now=NOW)
    assert Position.objects.get().qty == 7
    assert rebuilt()[0].qty == 3 or rebuilt()[1].qty == 3
    assert Position.objects.count() == 2


def test_a_flip_closes_a_long_and_opens_a_short():
    make_fill(qty="10", price="100")
    rebuilt()
    make_fill(side="sell", qty="15", price="90", at=minutes(1))
    long, short = rebuilt(now=minutes(1))
    assert (long.state, long.qty, long.realized_pl) == ("closed", 0, -100)
    assert (long.stop_loss, long.total_risk) == (Decimal("92.00"), Decimal("80"))
    assert (short.state, short.side, short.qty) == ("open", "short", Decimal(-5))
    assert (short.stop_loss, short.target, short.total_risk) == (Decimal("97.20"), Decimal("75.60"), Decimal("36"))


def test_more_of_it_moves_stop_and_risk_by_the_position_s_own_percentages():
    make_fill(qty="10", price="100")
    rebuilt()
    RiskParameters.objects.update(stop_loss_pct="5", target_pct="10")
    make_fill(qty="10", price="200", at=minutes(1))
    (row,) = rebuilt()
    assert (row.stop_loss_pct, row.parameters_from) == (8, "default of the account")
    assert (row.avg_entry_price, row.stop_loss, row.target) == (150, Decimal("138.00"), Decimal("174.00"))
    assert row.total_risk == 240


def test_a_partial_exit_lowers_the_risk_and_keeps_the_stop():
    make_fill(qty="10", price="100")
    rebuilt()
    make_fill(side="sell", qty="4", price="105", at=minutes(1))
    (row,) = rebuilt()
    assert (row.stop_loss, row.risk_per_share, row.total_risk) == (92, 8, 48)


def test_a_closed_position_keeps_what_it_had():
    make_fill(qty="10", price="100")
    rebuilt()
    make_fill(side="sell", qty="10", price="105", at=minutes(1))
    rebuilt()
    RiskParameters.objects.update(stop_loss_pct="5")
    (row,) = rebuilt()
    assert (row.state, row.stop_loss, row.total_risk, row.stop_loss_pct) == ("closed", 92, 80, 8)


def test_a_round_trip_first_seen_closed_gets_the_risk_of_all_that_it_entered():
    make_fill(qty="10", price="100")
    make_fill(side="sell", qty="10", price="105", at=minutes(1))
    (row,) = rebuilt()
    assert (row.state, row.stop_loss, row.total_risk, row.realized_pl) == ("closed", 92, 80, 50)


def test_an_undone_exit_opens_the_position_again_and_removes_what_followed():
    make_fill(qty="10", price="100")
    exit_fill = make_fill(side="sell", qty="15", price="90", at=minutes(1))
    assert len(rebuilt()) == 2
    exit_fill.delete()
    (row,) = rebuilt()
    assert (row.state, row.qty, row.total_risk, row.closed_at) == ("open", 10, 80, None)


def test_an_undone_entry_leaves_no_row():
    fill = make_fill()
    rebuilt()
    fill.delete()
    assert rebuilt() == []


def test_an_older_round_trip_that_turns_up_late_takes_no_one_s_stop():
    RiskParameters.objects.create(account=make_account(), symbol="QCOM", stop_loss_pct="10", target_pct="20")
    make_fill(qty="10", price="100")
    rebuilt()
    RiskParameters.objects.filter(symbol="QCOM").update(stop_loss_pct="5")
    make_fill(qty="1", price="50", at=minutes(-20))
    make_fill(qty="1", price="60", side="sell", at=minutes(-10))
    old, young = rebuilt()
    assert (old.sequence, old.state, old.stop_loss_pct, old.stop_loss) == (1, "closed", 5, Decimal("47.50"))
    assert (young.sequence, young.state, young.stop_loss_pct, young.stop_loss) == (2, "open", 10, 90)


def test_an_earlier_fill_of_the_same_round_trip_keeps_its_percentages():
    make_fill(qty="10", price="100")
    rebuilt()
    RiskParameters.objects.update(stop_loss_pct="5")
    make_fill(qty="10", price="80", at=minutes(-5))
    (row,) = rebuilt()
    assert (row.opened_at, row.stop_loss_pct, row.avg_entry_price) == (minutes(-5), 8, 90)


@pytest.mark.parametrize("own", [True, False])
def test_a_late_fill_gets_the_parameters_of_its_own_day(own):
    symbol = "QCOM" if own else ""
    RiskParameters.objects.create(account=make_account(), symbol=symbol, stop_loss_pct="5", target_pct="10")
    ParameterChange.objects.create(
        account=make_account(),
        symbol=symbol,
        at=minutes(60),
        actor="admin",
        before={"stop_loss_pct": "7", "target_pct": "14"},
        after={"stop_loss_pct": "5", "target_pct": "10"},
    )
    make_fill(symbol="QCOM", price="100", at=minutes(0))
    make_fill(symbol="QCOM", price="100", at=minutes(70), side="sell")
    make_fill(symbol="QCOM", price="100", at=minutes(80))
    before, after = rebuilt()
    assert (before.stop_loss_pct, after.stop_loss_pct) == (7, 5)


def test_a_late_fill_follows_a_change_that_all_open_positions_followed():
    RiskParameters.objects.create(account=make_account(), symbol="", stop_loss_pct="5", target_pct="10")
    ParameterChange.objects.create(
        account=make_account(),
        symbol="",
        at=minutes(60),
        actor="admin",
        applied_to_open=True,
        before={"stop_loss_pct": "7", "target_pct": "14"},
        after={"stop_loss_pct": "5", "target_pct": "10"},
    )
    make_fill(price="100")
    make_fill(symbol="NVDA", price="100", at=minutes(1))
    make_fill(symbol="NVDA", price="100", at=minutes(2), side="sell")
    assert rebuilt()[0].stop_loss_pct == 5
    assert rebuilt("NVDA")[0].stop_loss_pct == 7  # it was closed by then


# --- pending ------------------------------------------------------------------------------------------------


def test_a_working_entry_shows_as_pending_then_open_then_closed():
    order = make_order(side="sell")
    (row,) = rebuilt()
    assert (row.state, row.side, row.qty, row.opened_at, row.stop_loss) == ("pending", "short", 0, None, None)
    make_fill(order, qty="4")
    (row,) = rebuilt()
    assert (row.sequence, row.state, row.qty) == (1, "open", -4)
    make_fill(side="buy", qty="4", at=minutes(5))
    order.status = "canceled"
    order.save()
    (row,) = rebuilt()
    assert row.state == "closed"
    assert not row.is_never_filled


def test_an_entry_given_up_without_a_fill_is_closed_and_keeps_its_number():
    order = make_order()
    rebuilt()
    order.status = "expired"
    order.save()
    (row,) = rebuilt(now=minutes(3))
    assert (row.state, row.qty, row.opened_at, row.closed_at) == ("closed", 0, None, minutes(3))
    assert row.is_never_filled
    assert rebuild_position(account=make_account(), symbol="QCOM", now=minutes(4)) == 0
    make_fill(at=minutes(5))
    given_up, bought = rebuilt()
    assert given_up.is_never_filled
    assert (bought.sequence, bought.state) == (2, "open")
    assert list(Position.objects.never_filled()) == [given_up]


def test_an_exit_order_of_an_open_position_is_no_pending_entry():
    make_fill()
    make_order(side="sell")
    assert [row.state for row in rebuilt()] == ["open"]


def test_a_new_entry_after_a_closed_round_trip_is_pending_beside_it():
    make_fill(qty="10")
    make_fill(side="sell", qty="10", at=minutes(1))
    make_order()
    assert [(row.sequence, row.state) for row in rebuilt()] == [(1, "closed"), (2, "pending")]


@pytest.mark.parametrize(
    "fields",
    [
        {"submission_state": "recorded"},
        {"submission_state": "denied"},
        {"submission_state": "rejected"},
        {"status": "held", "side": "sell"},
        {"status": "filled"},
    ],
)
def test_what_is_not_sent_or_not_an_entry_makes_nothing_pending(fields):
    make_order(**fields)
    assert rebuilt() == []


@pytest.mark.parametrize("state", ["submitting", "unconfirmed"])
def test_an_entry_is_pending_from_when_alpaca_is_known_to_have_it(state):
    """Else it would stay so when its sending came to nothing: that is no booking, and nobody rebuilds after it."""
    order = make_order(submission_state=state)
    assert rebuilt() == []
    order.submission_state, order.broker_order_id, order.status = "confirmed", "b-1", "new"
    order.save()
    assert [row.state for row in rebuilt()] == ["pending"]


def test_the_oldest_entry_gives_the_side():
    make_order(side="sell", recorded_at=minutes(1))
    make_order(side="buy", recorded_at=minutes(0))
    assert rebuilt()[0].side == "long"


def test_a_fill_in_another_symbol_ends_no_pending_entry():
    make_order()
    rebuilt()
    make_fill(symbol="NVDA")
    rebuilt("NVDA")
    assert Position.objects.get(symbol="QCOM").state == "pending"


# --- verify -------------------------------------------------------------------------------------------------


def test_what_was_rebuilt_has_no_differences():
    account = make_account()
    make_fill(qty="3", price="10.01")
    make_fill(side="sell", qty="5", price="11", at=minutes(1))
    make_order(symbol="NVDA")
    rebuild_positions(account=account, symbols=["QCOM", "NVDA"], now=NOW)
    assert differences(Position.objects.all(), compute_positions(account, now=minutes(9))) == []


def test_computing_writes_nothing():
    make_fill()
    with CaptureQueriesContext(connection) as queries:
        (row,) = compute_positions(make_account(), now=NOW)
    assert not [query["sql"] for query in queries if is_write(query["sql"]) and "broker_account" not in query["sql"]]
    assert not Position.objects.exists()
    assert (row.qty, row.stop_loss) == (10, 92)


def test_a_row_that_someone_edited_shows_field_by_field():
    make_fill(price="100")
    rebuilt()
    Position.objects.update(qty=Decimal(11), stop_loss=Decimal(1))
    found = differences(Position.objects.all(), compute_positions(make_account(), ["QCOM"], now=NOW))
    assert [(one.field, one.stored, one.computed) for one in found] == [("qty", 11, 10), ("stop_loss", 1, 92)]


def test_a_missing_and_a_surplus_row_show():
    make_fill()
    computed = compute_positions(make_account(), now=NOW)
    assert [(one.field, one.stored, one.computed) for one in differences([], computed)] == [("row", None, "open")]
    assert [(one.field, one.stored, one.computed) for one in differences(computed, [])] == [("row", "open", None)]
