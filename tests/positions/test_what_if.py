"""What another stop and target would mean: the arithmetic, long and short, and what it warns of."""

from decimal import Decimal
from typing import Any

import pytest

from positions.what_if import Holding, compare, outlook, stop_at, stop_percent, target_at, target_percent

D = Decimal
LONG = Holding(side="long", qty=D(10), entry_price=D(100), last_price=D(105))
SHORT = Holding(side="short", qty=D(-10), entry_price=D(100), last_price=D(95))


def compared(holding, after, *, before=None, other_risk=0, others_unknown=0, equity=10_000):
    before = before or outlook(holding, stop_loss=stop_at(holding, D(8)), target=target_at(holding, D(16)))
    return compare(
        holding,
        before=before,
        after=after,
        other_risk=D(other_risk),
        others_unknown=others_unknown,
        equity=None if equity is None else D(equity),
    )


def test_a_long_has_its_stop_below_and_its_target_above():
    found: Any = outlook(LONG, stop_loss=D(92), target=D(116))
    assert (found.stop_loss_pct, found.target_pct) == (8, 16)
    assert (found.risk_per_share, found.total_risk) == (8, 80)
    assert (found.reward, found.reward_to_risk) == (160, 2)
    assert round(found.stop_distance, 9) == round(D(13) / 105, 9)
    assert round(found.target_distance, 9) == round(D(11) / 105, 9)
    assert found.at_stake == 130


def test_a_short_is_the_mirror_image():
    found: Any = outlook(SHORT, stop_loss=D(108), target=D(84))
    assert (found.stop_loss_pct, found.target_pct) == (8, 16)
    assert (found.risk_per_share, found.total_risk) == (8, 80)
    assert (found.reward, found.reward_to_risk) == (160, 2)
    assert round(found.stop_distance, 9) == round(D(13) / 95, 9)
    assert round(found.target_distance, 9) == round(D(11) / 95, 9)
    assert found.at_stake == 130


@pytest.mark.parametrize(
    ("holding", "stop", "target"), [(LONG, D("91.5"), D("120.25")), (SHORT, D("108.5"), D("79.75"))]
)
def test_percent_and_price_lead_to_each_other(holding, stop, target):
    assert (stop_percent(holding, stop), target_percent(holding, target)) == (D("8.5"), D("20.25"))
    assert (stop_at(holding, D("8.5")), target_at(holding, D("20.25"))) == (stop, target)


def test_prices_are_put_on_the_tick_and_percentages_on_two_places():
    found: Any = outlook(LONG, stop_loss=D("91.2345"), target=D("116.005"))
    assert (found.stop_loss, found.target) == (D("91.23"), D("116.01"))
    assert (found.stop_loss_pct, found.target_pct) == (D("8.77"), D("16.01"))


def test_what_is_not_known_stays_unknown():
    found: Any = outlook(
        Holding(side="long", qty=D(1), entry_price=D(10), last_price=None), stop_loss=None, target=None
    )
    assert {found.risk_per_share, found.total_risk, found.reward, found.reward_to_risk, found.at_stake} == {None}
    assert {found.stop_distance, found.target_distance, found.stop_loss_pct} == {None}


@pytest.mark.parametrize(
    ("holding", "stop", "target", "sentence"),
    [
        (LONG, D(105), D(120), "The stop is not below the last price: it would trigger at once."),
        (LONG, D(106), D(120), "The stop is not below the last price: it would trigger at once."),
        (SHORT, D(95), D(80), "The stop is not above the last price: it would trigger at once."),
        (SHORT, D(94), D(80), "The stop is not above the last price: it would trigger at once."),
        (LONG, D(92), D(105), "The target is not above the last price: it is reached already."),
        (SHORT, D(108), D(96), "The target is not below the last price: it is reached already."),
        (LONG, D(100), D(120), "The stop is not below the entry: hit there, the position loses nothing."),
        (SHORT, D(99), D(80), "The stop is not above the entry: hit there, the position loses nothing."),
        (LONG, D(92), D(99), "The target is not above the entry: reached there, the position earns nothing."),
        (SHORT, D(108), D(101), "The target is not below the entry: reached there, the position earns nothing."),
        (LONG, D(92), D(107), "It risks more than it can earn."),
    ],
)
def test_warnings(holding, stop, target, sentence):
    warnings = compared(holding, outlook(holding, stop_loss=stop, target=target)).warnings
    assert any(sentence in warning for warning in warnings), warnings


@pytest.mark.parametrize(("holding", "stop", "target"), [(LONG, D("104.99"), D("115")), (SHORT, D("95.01"), D("85"))])
def test_a_stop_a_cent_away_does_not_trigger_at_once(holding, stop, target):
    warnings = compared(holding, outlook(holding, stop_loss=stop, target=target)).warnings
    assert not any("at once" in warning for warning in warnings)


def test_sound_levels_warn_of_nothing():
    assert compared(LONG, outlook(LONG, stop_loss=D(92), target=D(116))).warnings == ()
    assert compared(SHORT, outlook(SHORT, stop_loss=D(108), target=D(84))).warnings == ()


def test_without_a_last_price_it_says_that_it_cannot_say():
    unknown = Holding(side="long", qty=D(10), entry_price=D(100), last_price=None)
    (warning,) = compared(unknown, outlook(unknown, stop_loss=D(92), target=D(116))).warnings
    assert "No last price is known" in warning


def test_open_risk_of_the_account_takes_the_others_in():
    found = compared(LONG, outlook(LONG, stop_loss=D(95), target=D(116)), other_risk=420)
    assert (found.open_risk_before.dollars, found.open_risk_before.share) == (500, 5)
    assert (found.open_risk_after.dollars, found.open_risk_after.share) == (470, D("4.7"))


def test_a_secured_profit_never_makes_the_others_look_safer():
    after: Any = outlook(LONG, stop_loss=D(103), target=D(116))
    assert (after.risk_per_share, after.total_risk) == (-3, 0)
    assert after.reward_to_risk is None
    assert compared(LONG, after, other_risk=420).open_risk_after.dollars == 420


def test_positions_without_a_stop_are_counted_and_equity_may_be_unknown():
    naked = outlook(LONG, stop_loss=None, target=None)
    found = compared(LONG, outlook(LONG, stop_loss=D(92), target=D(116)), before=naked, others_unknown=2, equity=None)
    assert (found.open_risk_before.unknown, found.open_risk_after.unknown) == (3, 2)
    assert found.open_risk_after.share is None
