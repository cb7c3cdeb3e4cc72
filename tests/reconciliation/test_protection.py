"""What guards a position: only what is live at the broker, on the exit side, for shares that are held."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from broker.models import Account
from broker.times import NEW_YORK
from positions.models import Position
from reconciliation.models import RunSnapshot
from reconciliation.protection import Coverage, Held, Judged, LiveOrder, protection_of, totals_of, unknown
from reconciliation.protection_board import a_close_lies_between
from tests.factories import make_account, make_order
from tests.reconciliation.rows import csv_rows, make_run, page

PATH = "/protection/"
LONG = Held(symbol="QCOM", qty=Decimal(74), last=Decimal("180.5"), stop=Decimal(166), target=Decimal(200))
SHORT = Held(symbol="QCOM", qty=Decimal(-10), last=Decimal(100), stop=Decimal(108), target=Decimal(84))


def stop(qty: int = 74, **fields: Any) -> LiveOrder:
    wanted = {
        "order_id": "s",
        "symbol": "QCOM",
        "side": "sell",
        "order_type": "stop",
        "status": "new",
        "leaves": Decimal(qty),
        "stop_price": Decimal(166),
    }
    return LiveOrder(**{**wanted, **fields})


# --- One position ---------------------------------------------------------------------------------------------


def test_without_a_live_stop_it_is_naked_for_all_its_value() -> None:
    found = protection_of(LONG, [])
    assert found.coverage == Coverage.NAKED
    assert found.to_plan_stop == Decimal("1073.0")  # 74 × (180.5 − 166)
    assert found.exposed == Decimal("13357.0")


def test_a_stop_for_all_of_it_at_the_plan_covers_it() -> None:
    found = protection_of(LONG, [stop()])
    assert found.coverage == Coverage.COVERED
    assert found.open_qty == found.to_plan_stop == 0
    assert not found.notes


@pytest.mark.parametrize("status", ["done_for_day", "calculated", "pending_new", "some_future_word", "held"])
def test_what_is_not_surely_live_guards_nothing(status: str) -> None:
    assert protection_of(LONG, [stop(status=status)]).coverage == Coverage.NAKED


def test_a_held_leg_guards_only_beside_a_live_mate() -> None:
    leg = stop(status="held", group_id="g")
    profit = stop(order_id="t", order_type="limit", stop_price=None, limit_price=Decimal(200), group_id="g")
    assert protection_of(LONG, [leg, profit]).coverage == Coverage.COVERED
    # The entry was cancelled: both legs are still listed as held.
    assert protection_of(LONG, [leg, replace(profit, status="held")]).coverage == Coverage.NAKED


def test_without_a_plan_no_stop_is_called_right() -> None:
    assert protection_of(replace(LONG, stop=None), [stop(stop_price=Decimal("0.01"))]).coverage == Coverage.WRONG


@pytest.mark.parametrize(
    ("taken", "now", "is_over"),
    [
        ("2025-11-06T15:55", "2025-11-06T15:59", False),
        ("2025-11-06T15:55", "2025-11-06T16:00", True),
        ("2025-11-06T17:00", "2025-11-07T15:59", False),
        ("2025-11-06T17:00", "2025-11-07T16:00", True),
    ],
)
def test_day_stops_end_with_the_close(taken: str, now: str, is_over: bool) -> None:
    at, then = (datetime.fromisoformat(text).replace(tzinfo=NEW_YORK) for text in (taken, now))
    assert a_close_lies_between(at, then) == is_over


def test_a_stop_for_less_covers_it_partly() -> None:
    found = protection_of(LONG, [stop(50)])
    assert found.coverage == Coverage.PARTLY
    assert found.open_qty == 24
    assert found.to_plan_stop == 24 * Decimal("14.5")


@pytest.mark.parametrize(
    ("live", "words"),
    [
        (stop(stop_price=Decimal(150)), "16.00 looser than the plan"),
        (stop(stop_price=Decimal(170)), "4.00 tighter than the plan"),
        (stop(order_type="trailing_stop", stop_price=Decimal(160)), "6.00 looser"),
        (stop(100), "26 more than is held"),
    ],
)
def test_a_stop_that_is_not_the_planned_one_is_off_plan(live: LiveOrder, words: str) -> None:
    found = protection_of(LONG, [live])
    assert found.coverage == Coverage.WRONG
    assert words in " ".join(found.notes)


def test_a_trailing_stop_may_be_better_than_the_plan() -> None:
    assert protection_of(LONG, [stop(order_type="trailing_stop", stop_price=Decimal(175))]).coverage == "covered"


@pytest.mark.parametrize(
    "order",
    [
        stop(side="buy"),
        stop(symbol="NVDA"),
        stop(status="canceled"),
        stop(status="pending_cancel"),
        stop(order_type="limit", stop_price=None, limit_price=Decimal(200)),
        stop(0),
    ],
)
def test_what_would_not_sell_it_at_a_loss_covers_nothing(order: LiveOrder) -> None:
    assert protection_of(LONG, [order]).coverage == Coverage.NAKED


def test_a_held_leg_guards_beside_its_take_profit_and_not_behind_its_entry() -> None:
    leg = stop(status="held", group_id="g")
    target = stop(order_id="t", order_type="limit", stop_price=None, limit_price=Decimal(200), group_id="g")
    entry = stop(order_id="e", side="buy", order_type="limit", status="partially_filled", leg_ids=("s",))
    assert protection_of(LONG, [leg, target]).coverage == Coverage.COVERED
    waiting = protection_of(LONG, [leg, entry])
    assert waiting.coverage == Coverage.NAKED
    assert "is held, so it guards nothing" in " ".join(waiting.notes)
    assert protection_of(LONG, [leg, replace(entry, leg_ids=(), group_id="g")]).coverage == Coverage.NAKED


def test_a_short_is_guarded_by_buying_back() -> None:
    assert protection_of(SHORT, []).to_plan_stop == 80
    assert protection_of(SHORT, [stop(10, stop_price=Decimal(108))]).coverage == Coverage.NAKED
    live = stop(10, side="buy", stop_price=Decimal(108))
    assert protection_of(SHORT, [live]).coverage == Coverage.COVERED
    looser = protection_of(SHORT, [replace(live, stop_price=Decimal(112))])
    assert "4.00 looser" in " ".join(looser.notes)


def test_a_price_beyond_the_plan_is_said_and_is_no_gain() -> None:
    found = protection_of(replace(LONG, last=Decimal(160)), [])
    assert found.to_plan_stop == 0
    assert "beyond the planned stop of 166.00 already" in " ".join(found.notes)


def test_without_a_price_or_a_plan_dollars_are_unknown_and_not_zero() -> None:
    assert protection_of(replace(LONG, stop=None), []).to_plan_stop is None
    assert protection_of(replace(LONG, last=None), []).exposed is None


# --- Every position -------------------------------------------------------------------------------------------

amounts = st.decimals("0.01", 500, places=2)
orders = st.builds(
    LiveOrder,
    order_id=st.uuids().map(str),
    symbol=st.sampled_from(["QCOM", "NVDA"]),
    side=st.sampled_from(["buy", "sell"]),
    order_type=st.sampled_from(["stop", "stop_limit", "trailing_stop", "limit", "market"]),
    status=st.sampled_from(["new", "held", "accepted", "pending_cancel", "canceled", "partially_filled"]),
    leaves=st.decimals(0, 90, places=2),
    stop_price=amounts,
    limit_price=amounts,
    time_in_force=st.sampled_from(["gtc", "day"]),
    group_id=st.sampled_from(["", "g", "h"]),
)
positions = st.builds(
    Held,
    symbol=st.just("QCOM"),
    qty=st.decimals(-90, 90, places=2).filter(bool),
    last=st.none() | amounts,
    stop=st.none() | amounts,
    target=st.none() | amounts,
)


@given(held=positions, live=st.lists(orders, max_size=6))
def test_covered_and_open_quantity_are_all_of_it(held: Held, live: list[LiveOrder]) -> None:
    found = protection_of(held, live)
    assert found.covered_qty + found.open_qty == abs(held.qty)
    assert found.covered_qty >= 0
    assert found.open_qty >= 0
    assert (found.coverage == Coverage.NAKED) == (found.covered_qty == 0)
    assert (found.coverage == Coverage.PARTLY) == (0 < found.covered_qty < abs(held.qty))
    assert found.to_plan_stop is None or found.to_plan_stop >= 0
    assert found.exposed is None or found.exposed == found.open_qty * (held.last or 0)


@given(held=positions, live=st.lists(orders, max_size=6), more=orders)
def test_an_order_on_the_exit_side_never_leaves_more_open(held: Held, live: list[LiveOrder], more: LiveOrder) -> None:
    before, after = protection_of(held, live), protection_of(held, [*live, replace(more, side=held.exit_side)])
    assert after.open_qty <= before.open_qty


@given(held=positions, live=st.lists(orders, max_size=6))
def test_a_mirrored_position_is_guarded_in_the_mirror(held: Held, live: list[LiveOrder]) -> None:
    turned = [replace(order, side="buy" if order.side == "sell" else "sell") for order in live]
    mirror = protection_of(replace(held, qty=-held.qty), turned)
    found = protection_of(held, live)
    assert (mirror.covered_qty, mirror.exposed) == (found.covered_qty, found.exposed)


@given(rows=st.lists(st.tuples(positions, st.lists(orders, max_size=3), st.booleans()), max_size=6))
def test_the_parts_of_the_bar_fill_it(rows: list[tuple[Held, list[LiveOrder], bool]]) -> None:
    judged = [
        Judged(held=held, protection=protection_of(held, live) if known else unknown("Nobody looked."))
        for held, live, known in rows
    ]
    totals = totals_of(judged)
    assert sum(share.count for share in totals.shares) == len(rows)
    assert sum(share.width for share in totals.shares) == (1000 if rows else 0)
    assert totals.unknown == sum(not known for _, _, known in rows)
    assert totals.exposed <= totals.value


# --- The page -------------------------------------------------------------------------------------------------


@pytest.fixture
def account(db: None) -> Account:
    return make_account(name="Simulator")


@pytest.fixture
def trader(client: Client, people: SimpleNamespace) -> Client:
    client.force_login(people.trader)
    return client


def hold(account: Account, symbol: str, **fields: Any) -> Position:
    now = timezone.now()
    values = {
        "sequence": 1, "state": "open", "side": "long", "qty": Decimal(74), "entry_qty": Decimal(74),
        "avg_entry_price": Decimal(180), "cost_basis": Decimal(13320), "realized_pl": Decimal(0), "opened_at": now,
        "stop_loss": Decimal(166), "target": Decimal(200), "last_price": Decimal("180.5"), "rebuilt_at": now,
    }  # fmt: skip
    return Position.objects.create(account=account, symbol=symbol, **{**values, **fields})


def see(account: Account, symbols: list[str], orders: tuple[dict[str, Any], ...] = (), **fields: Any) -> RunSnapshot:
    """A picture in which Alpaca and our books hold 74 of each symbol."""
    at = fields.pop("at", timezone.now())
    theirs = {symbol: {"qty": "74", "current_price": "180.5", "avg_entry_price": "180"} for symbol in symbols}
    ours = fields.pop("ours", {symbol: {"qty": "74"} for symbol in symbols})
    return RunSnapshot.objects.create(
        run=make_run(account, state="in_sync", finished_at=at),
        taken_at=at,
        local={"positions": ours},
        broker={"positions": theirs, "orders": list(orders)},
    )


def live(symbol: str, qty: str = "74", **fields: Any) -> dict[str, Any]:
    wanted: dict[str, Any] = {
        "broker_order_id": f"stop-{symbol}", "symbol": symbol, "side": "sell", "order_type": "stop", "status": "new",
        "qty": qty, "filled_qty": "0", "stop_price": "166", "limit_price": None, "time_in_force": "gtc",
        "group_id": "", "leg_ids": [],
    }  # fmt: skip
    return {**wanted, **fields}


@pytest.mark.django_db
def test_the_logged_out_are_sent_to_log_in(client: Client) -> None:
    assert client.get(PATH)["Location"].startswith("/accounts/login/")


def test_the_board_sums_up_what_is_not_protected(trader: Client, account: Account) -> None:
    for symbol in ("QCOM", "NVDA", "ACGL"):
        hold(account, symbol)
    see(account, ["QCOM", "NVDA", "ACGL"], (live("QCOM"), live("NVDA", "50")))
    text = page(trader, PATH)
    assert "$1,421.00" in text  # 24 and 74 × 14.50
    assert "$17,689.00" in text  # (24 + 74) × 180.50
    assert "1 position with a record only." in text
    rows = {row.split(",")[0]: row.split(",")[1] for row in csv_rows(trader, f"{PATH}?format=csv")[1:]}
    assert rows == {"QCOM": "covered", "NVDA": "partly", "ACGL": "naked"}
    assert [row[:4] for row in csv_rows(trader, f"{PATH}?format=csv&status=naked")[1:]] == ["ACGL"]
    assert [row[:4] for row in csv_rows(trader, f"{PATH}?format=csv&q=vd")[1:]] == ["NVDA"]
    assert "No positions match" in page(trader, f"{PATH}?side=short")


def test_without_a_complete_run_nothing_is_claimed(trader: Client, account: Account) -> None:
    hold(account, "QCOM")
    make_run(account, state="incomplete")
    text = page(trader, PATH)
    assert "Nobody has looked yet." in text
    assert "could not read everything" in text
    assert csv_rows(trader, f"{PATH}?format=csv")[1].startswith("QCOM,unknown,74,,")
    assert "$13,357.00" in text  # the market value is known, what guards it is not


def test_an_old_picture_is_no_picture(trader: Client, account: Account) -> None:
    hold(account, "QCOM")
    see(account, ["QCOM"], (live("QCOM"),), at=timezone.now() - timedelta(hours=25))
    assert "too old to judge by" in page(trader, PATH)
    assert csv_rows(trader, f"{PATH}?format=csv")[1].startswith("QCOM,unknown")


def test_a_quantity_that_moved_since_is_unknown(trader: Client, account: Account) -> None:
    hold(account, "QCOM", qty=Decimal(64))
    see(account, ["QCOM"], (live("QCOM"),))
    assert csv_rows(trader, f"{PATH}?format=csv")[1].startswith("QCOM,unknown,64")


def test_a_backfill_since_does_not_make_it_unknown(trader: Client, account: Account) -> None:
    hold(account, "QCOM")
    see(account, ["QCOM"], (live("QCOM"),), ours={})
    assert csv_rows(trader, f"{PATH}?format=csv")[1].startswith("QCOM,covered,74")


def test_a_stop_that_ended_since_guards_nothing(trader: Client, account: Account) -> None:
    hold(account, "QCOM")
    see(account, ["QCOM"], (live("QCOM"),))
    make_order(account, broker_order_id="stop-QCOM", side="sell", status="canceled")
    assert csv_rows(trader, f"{PATH}?format=csv")[1].startswith("QCOM,naked")


def test_what_only_alpaca_holds_is_shown_without_a_plan(trader: Client, account: Account) -> None:
    see(account, ["QCOM"], ours={})
    assert csv_rows(trader, f"{PATH}?format=csv")[1].startswith("QCOM,naked,74,0,180.5,,,,,,13357.0")
    assert "Not in our books." in page(trader, PATH)


def test_the_board_costs_the_same_for_many_positions(trader: Client, account: Account) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            page(trader, PATH)
        return len(found)

    hold(account, "AAA")
    see(account, ["AAA"], (live("AAA"),))
    page(trader, PATH)
    few = queries()
    symbols = [f"S{number}" for number in range(60)]
    for symbol in symbols:
        hold(account, symbol)
    see(account, ["AAA", *symbols], tuple(live(symbol) for symbol in symbols))
    assert queries() == few


def test_columns_are_chosen_and_the_view_is_saved(trader: Client, account: Account) -> None:
    hold(account, "QCOM")
    see(account, ["QCOM"])
    text = page(trader, f"{PATH}?columns=exposed&sort=qty")
    assert "13,357.00" in text
    assert "Stop, live" not in text[text.index("<thead>") : text.index("</tbody>")]
    trader.post("/saved-links/", {"name": "By value", "address": f"{PATH}?columns=exposed"})
    assert "By value" in page(trader, PATH)


def test_nothing_held_is_nothing_to_guard(trader: Client, account: Account) -> None:
    see(account, [])
    assert "Nothing is held, so nothing needs a stop." in page(trader, PATH)


def test_below_a_dollar_a_cent_is_no_rounding() -> None:
    """Of a share at 5 cents a stop that lies a cent away is a fifth of the price away."""
    held = Held(symbol="QCOM", qty=Decimal(74), last=Decimal("0.05"), stop=Decimal("0.046"), target=Decimal("0.058"))
    assert protection_of(held, [stop(stop_price=Decimal("0.0461"))]).coverage == Coverage.COVERED
    assert protection_of(held, [stop(stop_price=Decimal("0.0365"))]).coverage == Coverage.WRONG
