"""The plan `oco` beside orders of a person: what they sell of a fraction, or for dollars, takes no stop away. Pure."""

from decimal import Decimal

from positions.protection_plan import Step
from tests.positions.test_protection_plan import decide, other, own


def test_selling_the_fraction_by_hand_leaves_the_exits_of_the_whole_shares():
    fraction = other(qty=Decimal("0.5"), leaves=Decimal("0.5"))
    assert decide(own(), fraction, qty="10.5").step == Step.NOTHING
    found = decide(fraction, qty="10.5")
    assert (found.step, found.wish.qty) == (Step.PLACE, Decimal(10))


def test_parts_of_shares_are_never_wished_for():
    found = decide(other(qty=Decimal("0.5"), leaves=Decimal("0.5")))
    assert (found.step, found.wish.qty) == (Step.PLACE, Decimal(9))


def test_an_order_in_dollars_does_not_take_live_exits_away():
    """Nobody knows how many shares it takes, so nothing is placed beside it, and nothing is cancelled for it."""
    in_dollars = other(qty=None, leaves=None)
    assert decide(own(), in_dollars, qty="10.5").step == Step.NOTHING
    assert decide(own(), in_dollars, qty="20").step == Step.NOTHING
    assert decide(in_dollars).step == Step.NOTHING
    assert decide(own(), in_dollars, qty="6").step == Step.CANCEL  # too many whatever the other takes


def test_below_a_dollar_a_level_moves_by_hundredths_of_a_cent():
    low = own(stop_loss=Decimal("0.0460"), target=Decimal("0.0580"))
    same = {"stop_loss": Decimal("0.0461"), "target": Decimal("0.0580")}
    moved = {"stop_loss": Decimal("0.0485"), "target": Decimal("0.0580")}
    assert decide(low, **same).step == Step.NOTHING
    assert decide(low, **moved).step == Step.CANCEL
