"""Parameters: whose count, what a change shows, what it does, and what it never touches."""

from decimal import Decimal
from typing import Any

import pytest

from audit.models import AuditEntry
from positions.errors import EffectsMoved, InvalidParameters
from positions.models import ParameterChange, Position, RiskParameters
from positions.parameters import (
    Parameters,
    change_parameters,
    ensure_default_parameters,
    fingerprint,
    parameters_for,
    parameters_for_symbols,
    preview_change,
    preview_removal,
    remove_parameters,
)
from positions.rebuilding import compute_positions, differences, rebuild_positions
from tests.factories import NOW, make_account, make_fill, minutes

pytestmark = pytest.mark.django_db
FIVE_TEN: dict[str, Any] = {"stop_loss_pct": Decimal(5), "target_pct": Decimal(10)}


@pytest.fixture
def held():
    """Two open positions and a closed one, each ten shares entered at 100."""
    for symbol in ("QCOM", "NVDA", "IBKR"):
        make_fill(symbol=symbol, price="100", at=minutes(0))
    make_fill(symbol="IBKR", price="110", side="sell", at=minutes(1))
    rebuild_positions(account=make_account(), symbols=["QCOM", "NVDA", "IBKR"], now=NOW)


def change(**more):
    more.setdefault("account", None)
    values = {"actor": "admin", "now": minutes(5), "apply_to_open": True, **FIVE_TEN, **more}
    return change_parameters(**{**values, "account": more["account"] or make_account()})


def stops():
    return dict(Position.objects.values_list("symbol", "stop_loss"))


def test_a_symbol_s_own_parameters_come_before_the_default():
    account = make_account()
    assert parameters_for(account, "QCOM") == Parameters(Decimal(8), Decimal(16), "built-in default")
    ensure_default_parameters(account)
    assert ensure_default_parameters(account) == RiskParameters.objects.get()
    assert parameters_for(account, "QCOM") == Parameters(Decimal(8), Decimal(16), "default of the account")
    change(symbol="QCOM")
    assert parameters_for(account, "QCOM") == Parameters(Decimal(5), Decimal(10), "own parameters of QCOM")
    assert parameters_for(account, "NVDA").stop_loss_pct == 8
    assert parameters_for(make_account("paper"), "QCOM").stop_loss_pct == 8


def test_many_symbols_take_one_query(django_assert_num_queries):
    account = make_account()
    with django_assert_num_queries(1):
        found = parameters_for_symbols(account, [f"S{n}" for n in range(30)])
    assert len(found) == 30


@pytest.mark.usefixtures("held")
def test_a_preview_shows_every_open_position_and_changes_nothing():
    effects = preview_change(account=make_account(), **FIVE_TEN)
    assert [effect.symbol for effect in effects] == ["NVDA", "QCOM"]
    shown = effects[0]
    assert (shown.stop_loss_before, shown.stop_loss_after) == (Decimal(92), Decimal(95))
    assert (shown.target_before, shown.target_after) == (Decimal(116), Decimal(110))
    assert (shown.total_risk_before, shown.total_risk_after) == (Decimal(80), Decimal(50))
    assert stops() == {"NVDA": 92, "QCOM": 92, "IBKR": 92}
    assert RiskParameters.objects.get().stop_loss_pct == 8


@pytest.mark.usefixtures("held")
def test_a_change_does_what_was_shown_and_leaves_closed_ones_alone():
    effects = preview_change(account=make_account(), **FIVE_TEN)
    made = change(expected=fingerprint(effects))
    assert stops() == {"NVDA": 95, "QCOM": 95, "IBKR": 92}
    row = Position.objects.get(symbol="QCOM")
    assert (row.total_risk, row.stop_loss_pct, row.parameters_from) == (50, 5, "default of the account")
    assert (made.before, made.after) == (
        {"stop_loss_pct": "8", "target_pct": "16"},
        {"stop_loss_pct": "5", "target_pct": "10"},
    )
    assert made.effects == [effect.as_json() for effect in effects]
    assert (made.effects[0]["stop_loss_before"], made.effects[0]["stop_loss_after"]) == ("92", "95")
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor) == ("parameters.changed", "admin")
    assert entry.summary == "Parameters of the account: stop 5 %, target 10 %; 2 open positions recalculated"
    assert rebuild_positions(account=make_account(), symbols=["QCOM", "NVDA", "IBKR"], now=minutes(9)) == 0
    assert differences(Position.objects.all(), compute_positions(make_account(), now=NOW)) == []


@pytest.mark.usefixtures("held")
def test_without_applying_it_counts_for_what_is_opened_later():
    made = change(apply_to_open=False)
    assert stops() == {"NVDA": 92, "QCOM": 92, "IBKR": 92}
    assert made.effects == []
    make_fill(symbol="HST", price="100", at=minutes(10))
    make_fill(symbol="QCOM", price="100", at=minutes(10))
    rebuild_positions(account=make_account(), symbols=["QCOM", "HST"], now=minutes(10))
    assert stops() == {"NVDA": 92, "QCOM": 92, "IBKR": 92, "HST": 95}


@pytest.mark.usefixtures("held")
def test_a_change_of_the_default_spares_symbols_with_their_own():
    change(symbol="QCOM", stop_loss_pct=Decimal("2.5"))
    assert stops()["QCOM"] == Decimal("97.50")
    assert [effect.symbol for effect in preview_change(account=make_account(), **FIVE_TEN)] == ["NVDA"]
    change()
    assert stops() == {"NVDA": 95, "QCOM": Decimal("97.50"), "IBKR": 92}


@pytest.mark.usefixtures("held")
def test_a_removal_falls_back_to_the_default():
    change(symbol="QCOM", now=minutes(5))
    values: dict[str, Any] = {"account": make_account(), "symbol": "QCOM"}
    (effect,) = preview_removal(**values)
    assert (effect.stop_loss_before, effect.stop_loss_after) == (Decimal(95), Decimal(92))
    made = remove_parameters(**values, actor="admin", now=minutes(6), apply_to_open=True)
    assert made is not None
    assert made.after is None
    assert AuditEntry.objects.latest("id").action == "parameters.removed"
    assert stops()["QCOM"] == 92
    assert parameters_for(make_account(), "QCOM").source == "default of the account"
    assert remove_parameters(**values, actor="admin", now=minutes(7), apply_to_open=True) is None


def test_the_default_cannot_be_removed():
    with pytest.raises(InvalidParameters, match="changed but not removed"):
        remove_parameters(account=make_account(), symbol="", actor="admin", now=NOW, apply_to_open=False)


@pytest.mark.usefixtures("held")
def test_the_same_change_twice_is_one_change():
    assert change() is not None
    assert change() is None
    assert (ParameterChange.objects.count(), AuditEntry.objects.count()) == (1, 1)


@pytest.mark.usefixtures("held")
def test_positions_that_moved_since_they_were_shown_void_the_change():
    shown = fingerprint(preview_change(account=make_account(), **FIVE_TEN))
    make_fill(symbol="QCOM", price="120", at=minutes(3))
    rebuild_positions(account=make_account(), symbols=["QCOM"], now=minutes(3))
    with pytest.raises(EffectsMoved, match="Look at the effects again"):
        change(expected=shown)
    assert RiskParameters.objects.get().stop_loss_pct == 8
    assert not ParameterChange.objects.exists()


@pytest.mark.usefixtures("held")
def test_only_the_account_s_own_positions_follow():
    other = make_account("paper")
    make_fill(account=other, symbol="QCOM", price="100")
    rebuild_positions(account=other, symbols=["QCOM"], now=NOW)
    change()
    assert Position.objects.get(account=other).stop_loss == 92


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"stop_loss_pct": "0"}, "stop_loss_pct"),
        ({"stop_loss_pct": "-1"}, "stop_loss_pct"),
        ({"stop_loss_pct": "100"}, "stop_loss_pct"),
        ({"stop_loss_pct": "8.125"}, "stop_loss_pct"),
        ({"stop_loss_pct": "NaN"}, "stop_loss_pct"),
        ({"target_pct": "0"}, "target_pct"),
        ({"target_pct": "1000.01"}, "target_pct"),
        ({"target_pct": "Infinity"}, "target_pct"),
    ],
)
def test_what_cannot_be_a_percentage_is_refused_with_a_sentence(values, field):
    with pytest.raises(InvalidParameters) as refused:
        change(**{name: Decimal(value) for name, value in values.items()})
    assert refused.value.field == field
    assert str(refused.value)[-1] in ".?"
    assert not ParameterChange.objects.exists()


def test_a_short_cannot_have_a_target_below_zero():
    make_fill(symbol="TSLA", side="sell", price="100")
    rebuild_positions(account=make_account(), symbols=["TSLA"], now=NOW)
    with pytest.raises(InvalidParameters, match="TSLA is held short"):
        change(target_pct=Decimal(100))
    change()
    row = Position.objects.get()
    assert (row.stop_loss, row.target, row.total_risk) == (105, 90, 50)


def queries_of_a_change(count: int, django_assert_max_num_queries) -> int:
    account = make_account(f"a{count}")
    symbols = [f"S{n}" for n in range(count)]
    for symbol in symbols:
        make_fill(account=account, symbol=symbol)
    rebuild_positions(account=account, symbols=symbols, now=NOW)
    with django_assert_max_num_queries(30) as queries:
        change(account=account)
    return len(queries)


def test_a_change_takes_as_many_statements_for_two_as_for_thirty(django_assert_max_num_queries):
    few = queries_of_a_change(2, django_assert_max_num_queries)
    assert few == queries_of_a_change(30, django_assert_max_num_queries)
