"""Stop, target and risk: the incident's figures to the cent, ticks, shorts."""

from decimal import Decimal

import pytest

from positions.risk import Levels, levels, on_tick, total_risk

# The five buys of 6 November 2025 as the record has them: symbol, qty, entry, stop, target, total risk.
INCIDENT = [
    ("QCOM", "74", "172.30", "158.52", "199.87", "1019.72"),
    ("NVDA", "37", "190.75", "175.49", "221.27", "564.62"),
    ("ACGL", "101", "88.62", "81.53", "102.80", "716.09"),
    ("HST", "432", "17.11", "15.74", "19.85", "591.84"),
    ("DVN", "225", "32.61", "30.00", "37.83", "587.25"),
]
EIGHT_SIXTEEN = {"stop_loss_pct": Decimal(8), "target_pct": Decimal(16)}


@pytest.mark.parametrize(("symbol", "qty", "entry", "stop", "target", "risk"), INCIDENT)
def test_the_incident_to_the_cent(symbol, qty, entry, stop, target, risk):
    found = levels(entry_price=Decimal(entry), side="long", **EIGHT_SIXTEEN)
    assert (found.stop_loss, found.target) == (Decimal(stop), Decimal(target))
    assert total_risk(found.risk_per_share, Decimal(qty)) == Decimal(risk)


def test_the_incident_in_total():
    risks = [
        total_risk(levels(entry_price=Decimal(entry), side="long", **EIGHT_SIXTEEN).risk_per_share, Decimal(qty))
        for _symbol, qty, entry, *_ in INCIDENT
    ]
    assert sum(risks) == Decimal("3479.52")


def test_a_short_has_its_stop_above_and_its_target_below():
    found = levels(entry_price=Decimal("50"), side="short", **EIGHT_SIXTEEN)
    assert found == Levels(Decimal("54.00"), Decimal("42.00"), Decimal("4.00"))
    assert total_risk(found.risk_per_share, Decimal(-10)) == 40


def test_the_risk_is_measured_from_the_exact_average():
    entry = Decimal("10.123456789012345678901234567890123")
    found = levels(entry_price=entry, side="long", **EIGHT_SIXTEEN)
    assert found.stop_loss == Decimal("9.31")
    assert found.risk_per_share == Decimal("0.813456789012345678901234567890123")


@pytest.mark.parametrize(
    ("price", "rounded"),
    [
        ("158.516", "158.52"),
        ("10.005", "10.01"),
        ("10.0049", "10.00"),
        ("1", "1.00"),
        ("0.99994", "0.9999"),
        ("0.99995", "1.0000"),
        ("0.12345", "0.1235"),
        ("0.00001", "0.0001"),
        ("-3", "0.0001"),
    ],
)
def test_prices_are_rounded_half_up_to_their_tick_and_stay_prices(price, rounded):
    assert on_tick(Decimal(price)) == Decimal(rounded)
