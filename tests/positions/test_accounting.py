"""The fold: examples that can be checked by hand, then laws that hold for every ledger."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from positions.accounting import LedgerEntry, NetPosition, fold, position_at
from positions.exact_numbers import WIDE

START = datetime(2025, 11, 6, 13, 0, tzinfo=UTC)
relaxed = settings(deadline=None, max_examples=150)


def entry(qty: str, price: str, minute: int = 0, **more) -> LedgerEntry:
    return LedgerEntry(
        at=START + timedelta(minutes=minute),
        order_key=more.pop("order_key", f"{minute:04d}"),
        qty=Decimal(qty),
        price=Decimal(price),
        **more,
    )


def values(*items):
    """Several figures at once, to be compared with plain numbers."""
    return items


def ledger(*lines: tuple[str, str]) -> list[LedgerEntry]:
    return [entry(qty, price, minute) for minute, (qty, price) in enumerate(lines)]


def test_a_long_is_averaged_partly_sold_and_closed():
    (trip,) = fold(ledger(("100", "10"), ("50", "13"), ("-60", "12"), ("-90", "9")))
    assert values(trip.side, trip.qty, trip.entry_qty, trip.exit_qty) == ("long", 0, 150, 150)
    assert trip.avg_entry_price == Decimal("11")
    assert trip.avg_exit_price == Decimal("10.2")
    assert trip.realized_pl == Decimal("-120")
    assert trip.cost_basis == 0
    assert (trip.opened_at, trip.closed_at) == (START, START + timedelta(minutes=3))


def test_a_partial_exit_leaves_the_average_price_alone():
    (trip,) = fold(ledger(("100", "10"), ("50", "13"), ("-60", "12")))
    assert values(trip.qty, trip.avg_entry_price, trip.cost_basis) == (90, Decimal("11"), 990)
    assert trip.realized_pl == Decimal("60")
    assert trip.is_open


def test_the_average_is_that_of_the_open_quantity_like_the_brokers():
    (trip,) = fold(ledger(("100", "10"), ("50", "12"), ("30", "15"), ("-120", "20")))
    assert trip.avg_entry_price == Decimal("11.388888888888888889")
    assert round(trip.cost_basis, 2) == Decimal("683.33")


def test_a_short_mirrors_a_long():
    (trip,) = fold(ledger(("-10", "50"), ("-10", "52"), ("5", "40")))
    assert values(trip.side, trip.qty, trip.entry_qty, trip.exit_qty) == ("short", -15, 20, 5)
    assert values(trip.avg_entry_price, trip.cost_basis, trip.realized_pl) == (51, -765, 55)


def test_a_flip_closes_one_round_trip_and_opens_another_at_the_same_instant():
    long, short = fold(ledger(("10", "100"), ("-25", "110")))
    assert values(long.side, long.qty, long.realized_pl, long.sequence) == ("long", 0, 100, 1)
    assert values(short.side, short.qty, short.avg_entry_price, short.sequence) == ("short", -15, 110, 2)
    assert long.closed_at == short.opened_at
    assert [part.qty for part in (*long.entries, *short.entries)] == [10, -10, -15]


def test_round_trips_are_numbered_in_the_order_in_which_they_opened():
    trips = fold(ledger(("1", "1"), ("-1", "2"), ("-1", "3"), ("1", "2"), ("5", "1")))
    assert [values(trip.sequence, trip.side, trip.realized_pl, trip.is_open) for trip in trips] == [
        (1, "long", 1, False),
        (2, "short", 1, False),
        (3, "long", 0, True),
    ]


def test_thirds_lose_nothing_once_they_are_closed():
    (trip,) = fold(ledger(("3", "3.333"), ("-1", "4"), ("-1", "4"), ("-1", "4.0001")))
    assert trip.realized_pl == Decimal("2.0011")
    assert trip.avg_entry_price == Decimal("3.333")


def test_fractions_of_a_share_stay_exact():
    (trip,) = fold(ledger(("0.123456789", "1234.5678"), ("-0.000000001", "0.0001")))
    assert trip.qty == Decimal("0.123456788")
    assert trip.avg_entry_price == Decimal("1234.5678")
    assert trip.realized_pl == Decimal("0.000000001") * (Decimal("0.0001") - Decimal("1234.5678"))


def test_numbers_longer_than_the_default_context_stay_exact():
    (trip,) = fold(
        ledger(("123456789012.123456789", "98765432109.1234"), ("-123456789012.123456789", "98765432109.1235"))
    )
    assert trip.realized_pl == Decimal("12345678.9012123456789")


def test_an_average_entry_sets_the_price_of_what_is_open_and_realises_nothing():
    trips = fold([*ledger(("10", "10"), ("-5", "12")), entry("0", "11", 5, kind="average")])
    assert values(trips[0].avg_entry_price, trips[0].cost_basis, trips[0].realized_pl) == (11, 55, 10)
    (closed,) = fold([*ledger(("10", "10"), ("-5", "12")), entry("0", "11", 5, kind="average"), entry("-5", "12", 6)])
    assert closed.realized_pl == 15
    assert closed.avg_entry_price == Decimal("10.5")


def test_an_average_entry_means_nothing_while_flat():
    assert fold([entry("0", "11", kind="average")]) == []
    (trip,) = fold([*ledger(("10", "10"), ("-10", "12")), entry("0", "11", 5, kind="average")])
    assert trip.realized_pl == 20


def test_a_split_books_shares_without_cost():
    (trip,) = fold([*ledger(("10", "100")), entry("90", "0", 1, kind="correction")])
    assert values(trip.qty, trip.avg_entry_price, trip.cost_basis) == (100, 10, 1000)


def test_one_estimated_entry_marks_its_round_trip_only():
    trips = fold([entry("5", "10", 0, kind="opening", is_estimated=True), entry("-5", "11", 1), entry("5", "10", 2)])
    assert [trip.is_estimated for trip in trips] == [True, False]


def test_entries_of_the_same_instant_go_by_their_key():
    first, second = entry("-5", "10", order_key="b"), entry("5", "9", order_key="a")
    assert [trip.side for trip in fold([first, second])] == ["long"]


def test_an_entry_without_quantity_opens_nothing():
    assert fold([entry("0", "10")]) == []


def test_what_is_held_at_a_moment():
    entries = ledger(("10", "100"), ("-10", "110"), ("-3", "90"))
    assert position_at(entries) == NetPosition(Decimal(-3), Decimal(90))
    assert position_at(entries, START) == NetPosition(Decimal(10), Decimal(100))
    assert position_at(entries, START + timedelta(minutes=1)) == NetPosition(Decimal(0), None)
    assert position_at([]) == NetPosition(Decimal(0), None)


# --- laws ---------------------------------------------------------------------------------------------------

quantities = st.decimals("-1000", "1000", places=3).filter(bool)
whole = st.integers(-20, 20).filter(bool).map(Decimal)
prices = st.decimals("0.0001", "5000", places=4)


@st.composite
def ledgers(draw, sizes=quantities) -> list[LedgerEntry]:
    lines = draw(st.lists(st.tuples(st.integers(0, 6), sizes, prices, st.booleans()), max_size=14))
    return [
        LedgerEntry(
            at=START + timedelta(minutes=minute), order_key=f"{n:03d}", qty=qty, price=price, is_estimated=guess
        )
        for n, (minute, qty, price, guess) in enumerate(lines)
    ]


@relaxed
@given(ledgers(), st.randoms(use_true_random=False))
def test_any_order_of_arrival_gives_one_position(entries: list[LedgerEntry], rng: random.Random):
    shuffled = entries.copy()
    rng.shuffle(shuffled)
    assert fold(shuffled) == fold(entries)


@relaxed
@given(st.one_of(ledgers(), ledgers(whole)))
def test_cash_is_conserved_to_the_last_digit(entries: list[LedgerEntry]):
    trips = fold(entries)
    with localcontext(WIDE):
        cash = sum((-line.qty * line.price for line in entries), Decimal(0))
        assert cash == sum((trip.realized_pl - trip.cost_basis for trip in trips), Decimal(0))


@relaxed
@given(st.one_of(ledgers(), ledgers(whole)))
def test_quantities_add_up(entries: list[LedgerEntry]):
    trips = fold(entries)
    assert sum((trip.qty for trip in trips), Decimal(0)) == sum((line.qty for line in entries), Decimal(0))
    for trip in trips:
        assert trip.entry_qty - trip.exit_qty == abs(trip.qty)
        assert sum((part.qty for part in trip.entries), Decimal(0)) == trip.qty
        assert (trip.qty == 0) == (not trip.is_open)
        assert trip.qty >= 0 if trip.side == "long" else trip.qty <= 0
    assert all(not trip.is_open for trip in trips[:-1])
    assert [trip.sequence for trip in trips] == list(range(1, len(trips) + 1))


@relaxed
@given(ledgers(whole), st.data())
def test_a_fill_in_two_pieces_at_one_price_is_the_same_fill(entries: list[LedgerEntry], data):
    if not entries:
        return
    index = data.draw(st.integers(0, len(entries) - 1))
    whole_fill = entries[index]
    piece = whole_fill.qty * data.draw(st.sampled_from([Decimal("0.25"), Decimal("0.5"), Decimal("0.9")]))
    pieces = [
        replace(whole_fill, qty=piece, order_key=f"{whole_fill.order_key}-1"),
        replace(whole_fill, qty=whole_fill.qty - piece, order_key=f"{whole_fill.order_key}-2"),
    ]
    split = [*entries[:index], *pieces, *entries[index + 1 :]]
    assert [trip._replace(entries=()) for trip in fold(split)] == [trip._replace(entries=()) for trip in fold(entries)]


@relaxed
@given(ledgers(whole))
def test_the_other_side_is_the_mirror_image(entries: list[LedgerEntry]):
    mirrored = fold(replace(line, qty=-line.qty) for line in entries)
    for trip, image in zip(fold(entries), mirrored, strict=True):
        assert trip.side != image.side
        assert (trip.qty, trip.realized_pl) == (-image.qty, -image.realized_pl)
        assert trip.cost_basis == -image.cost_basis
        assert (trip.avg_entry_price, trip.avg_exit_price) == (image.avg_entry_price, image.avg_exit_price)


@relaxed
@given(ledgers(whole))
def test_a_closed_round_trip_earns_the_difference_of_its_averages(entries: list[LedgerEntry]):
    for trip in fold(entries):
        if trip.is_open:
            continue
        assert trip.avg_exit_price is not None
        sign = 1 if trip.side == "long" else -1
        earned = sign * (trip.avg_exit_price - trip.avg_entry_price) * trip.exit_qty
        assert earned == pytest.approx(trip.realized_pl, abs=Decimal("1e-15"))


# --- Splits -------------------------------------------------------------------------------------------------


def split(ratio: str, minute: int) -> LedgerEntry:
    return entry("0", "0", minute, kind="split", ratio=Decimal(ratio))


def test_a_split_rescales_every_quantity_and_every_price_and_leaves_the_money_alone():
    (before,) = fold(ledger(("100", "10"), ("-40", "12")))
    (after,) = fold([*ledger(("100", "10"), ("-40", "12")), split("4", 5)])
    assert values(after.qty, after.entry_qty, after.exit_qty) == (240, 400, 160)
    assert values(after.avg_entry_price, after.avg_exit_price) == (Decimal("2.5"), 3)
    assert values(after.cost_basis, after.realized_pl) == (before.cost_basis, before.realized_pl)
    assert (before.cost_basis, before.realized_pl) == values(600, 80)


def test_what_is_sold_after_a_split_realises_the_right_profit():
    (trip,) = fold([*ledger(("10", "100")), split("2", 1), entry("-5", "60", 2), entry("-15", "70", 3)])
    assert values(trip.realized_pl, trip.qty, trip.entry_qty, trip.exit_qty) == (350, 0, 20, 20)
    assert values(trip.avg_entry_price, trip.avg_exit_price) == (50, Decimal("67.5"))


def test_one_share_for_three_is_exactly_a_third():
    (trip,) = fold([*ledger(("9", "10")), split("0.333333333333333333", 1)])
    assert values(trip.qty, trip.avg_entry_price, trip.cost_basis) == (3, 30, 90)


def test_a_reverse_split_keeps_nine_places_so_that_the_rest_can_be_sold():
    held = [*ledger(("10", "10")), split("0.333333333333333333", 1)]
    assert fold(held)[0].qty == Decimal("3.333333333")
    (trip,) = fold([*held, entry("-3.333333333", "30", 2)])
    assert trip.closed_at is not None
    assert trip.realized_pl == Decimal("-0.00000001")


def test_a_split_of_what_is_not_held_changes_nothing():
    (trip,) = fold([*ledger(("1", "1"), ("-1", "2")), split("2", 5)])
    assert values(trip.entry_qty, trip.realized_pl) == (1, 1)


def test_a_split_without_a_ratio_is_refused():
    with pytest.raises(ValueError, match="has no ratio"):
        fold([*ledger(("1", "1")), entry("0", "0", 5, kind="split")])


ratios = st.tuples(st.integers(1, 50), st.integers(1, 50)).map(lambda pair: Decimal(pair[0]) / Decimal(pair[1]))


@relaxed
@given(
    st.lists(
        st.tuples(st.integers(-300, 300).filter(bool), st.decimals("0.01", 900, places=2)), min_size=1, max_size=6
    ),
    st.integers(1, 50),
    st.integers(1, 50),
)
def test_a_split_and_its_inverse_are_nothing_and_no_split_changes_money(lines, new, old):
    # Quantities that both ratios keep whole: what no share can hold, no inverse brings back.
    trades = [entry(str(qty * old), str(price), minute) for minute, (qty, price) in enumerate(lines)]
    there, back = Decimal(new) / old, Decimal(old) / new
    before = fold(trades)
    once = fold([*trades, split(str(there), 50)])
    twice = fold([*trades, split(str(there), 50), split(str(back), 51)])
    assert [(t.cost_basis, t.realized_pl) for t in once] == [(t.cost_basis, t.realized_pl) for t in before]
    assert [t._replace(entries=()) for t in twice] == [t._replace(entries=()) for t in before]


@relaxed
@given(st.integers(1, 900), st.decimals("0.01", 900, places=2), st.decimals("0.01", 900, places=2), ratios)
def test_what_is_bought_split_and_sold_earns_what_the_cash_says(qty, bought, sold, ratio):
    held = [entry(str(qty), str(bought)), split(str(ratio), 1)]
    shares = fold(held)[0].qty
    (trip,) = fold([*held, entry(str(-shares), str(sold), 2)])
    with localcontext(WIDE):
        assert trip.realized_pl == shares * sold - qty * bought
    assert not trip.is_open
