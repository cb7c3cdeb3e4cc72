"""Numbers and times as people read them: exact, grouped, with a true minus, and never through a float."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ui import formatting

cents = st.decimals(min_value=-(10**30), max_value=10**30, places=2)
prices = st.decimals(min_value=-(10**12), max_value=10**12, places=6)
quantities = st.decimals(min_value=-(10**15), max_value=10**15, places=9)


def read_back(text: str) -> Decimal:
    return Decimal(text.replace(",", "").replace("−", "-").replace("+", ""))


@given(cents)
def test_money_reads_back_as_the_same_amount(amount):
    assert read_back(formatting.money(amount)) == amount
    assert read_back(formatting.signed(amount)) == amount
    assert read_back(formatting.dollars(amount).replace("$", "")) == amount


@given(prices)
def test_price_keeps_every_digit_up_to_six_places(amount):
    assert read_back(formatting.price(amount)) == amount


@given(quantities)
def test_quantity_keeps_every_digit_up_to_nine_places(amount):
    assert read_back(formatting.qty(amount)) == amount


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**40), max_value=10**40))
def test_any_number_is_off_by_less_than_a_cent_and_never_minus_zero(amount):
    text = formatting.money(amount)
    assert abs(read_back(text) - amount) <= Decimal("0.005")
    assert text not in {"−0.00", "-0.00"}
    assert "-" not in text


@pytest.mark.parametrize(
    ("spell", "value", "text"),
    [
        (formatting.money, "1234.5", "1,234.50"),
        (formatting.money, Decimal("-0.004"), "0.00"),
        (formatting.money, Decimal("1E+3"), "1,000.00"),
        (formatting.money, None, "–"),
        (formatting.money, "", "–"),
        (formatting.money, 0, "0.00"),
        (formatting.price, "172.3", "172.30"),
        (formatting.price, "0.12345", "0.12345"),
        (formatting.price, "1.00000049", "1.00"),
        (formatting.qty, "74", "74"),
        (formatting.qty, "0.500", "0.5"),
        (formatting.qty, "-1500", "−1,500"),
        (formatting.percent, "8", "8.00 %"),
        (formatting.percent, None, "–"),
        (formatting.dollars, "-310", "−$310.00"),
        (formatting.dollars, None, "–"),
        (formatting.signed, "1204.5", "+1,204.50"),
        (formatting.signed, "-310", "−310.00"),
        (formatting.signed, "0", "0.00"),
        (formatting.signed, "0.001", "0.00"),
    ],
)
def test_spelling(spell, value, text):
    assert spell(value) == text


def test_a_float_is_refused_because_it_has_lost_digits():
    number: Any = 0.1
    with pytest.raises(TypeError, match="not exact"):
        formatting.money(number)


@pytest.mark.parametrize("text", ["abc", "NaN", "Infinity"])
def test_what_is_no_finite_number_is_an_error(text):
    with pytest.raises(ValueError, match="is not a"):
        formatting.money(text)


def test_share_of_nothing_has_no_meaning():
    assert formatting.share(Decimal(5), Decimal(50)) == 10
    assert formatting.share(Decimal(5), Decimal(0)) is None
    assert formatting.share(None, Decimal(1)) is None


def test_time_is_new_york_time_with_the_date_only_when_it_is_not_today():
    at = datetime(2025, 11, 6, 13, 0, 7, tzinfo=UTC)
    today = date(2025, 11, 6)
    assert formatting.in_new_york(at, today=today) == "08:00:07 ET"
    assert formatting.in_new_york(at, today=date(2025, 11, 7)) == "2025-11-06 08:00:07 ET"
    assert formatting.in_new_york(at, today=today, style="full") == "2025-11-06 08:00:07 ET"
    assert formatting.in_new_york(at, today=today, style="minute") == "08:00 ET"
    assert formatting.in_new_york(at, today=today, style="date") == "2025-11-06"
    assert formatting.in_utc(at) == "2025-11-06 13:00:07 UTC"
    assert formatting.iso_utc(at) == "2025-11-06T13:00:07Z"


def test_time_follows_daylight_saving():
    summer = datetime(2025, 7, 1, 12, 0, tzinfo=UTC)
    assert formatting.in_new_york(summer, today=date(2025, 7, 1)) == "08:00:00 ET"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0 s"), (0, "0 s"), (59.9, "59 s"), (60, "1 min"), (8040, "2 h 14 min"), (442800, "5 d 3 h")],
)
def test_span(seconds, text):
    assert formatting.span(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(None, "–"), (12, "12 B"), (487424, "487.4 kB"), (5 * 10**9, "5.0 GB")])
def test_bytes(count, text):
    assert formatting.bytes_of(count) == text


@pytest.mark.parametrize(
    ("number", "words", "said"),
    [
        (0, ("order",), "0 orders"),
        (1, ("order",), "1 order"),
        (1200, ("order",), "1,200 orders"),
        (1, ("fix", "fixes"), "1 fix"),
        (2, ("fix", "fixes"), "2 fixes"),
    ],
)
def test_one_is_no_plural(number, words, said):
    assert formatting.counted(number, *words) == said
