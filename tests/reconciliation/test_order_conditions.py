"""The pure rules behind the kinds of orders: stuck only in an open market, twice only within seconds, whose it is."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.mapping import to_activity, to_order
from broker.types import BrokerActivity, BrokerClock, BrokerFill, BrokerOrder
from reconciliation.broker_cause import broker_cause
from reconciliation.comparison import compare
from reconciliation.duplicates import intent_of
from reconciliation.evidence import BrokerEvidence, LocalRecord
from reconciliation.explanation import explain
from reconciliation.kinds import Kind
from reconciliation.order_conditions import stuck_since
from reconciliation.planning import plan
from reconciliation.terms import differing_terms, spell_terms
from tests.reconciliation.worlds import World, apply_all, record_of

#: 11:00 in New York on a Thursday.
NOON = datetime(2025, 11, 6, 16, 0, tzinfo=UTC)
CLOSE = datetime(2025, 11, 6, 21, 0, tzinfo=UTC)


def order(number: int = 1, **fields: Any) -> BrokerOrder:
    at = fields.pop("at", NOON - timedelta(hours=1)).isoformat()
    raw = {
        "id": f"order-{number}", "client_order_id": f"ts-1-{number}-a", "symbol": "QCOM", "asset_id": "q",
        "side": "buy", "type": "limit", "order_class": "", "time_in_force": "day", "qty": "10", "limit_price": "90",
        "filled_qty": "0", "status": "new", "submitted_at": at, "created_at": at, "updated_at": at,
        "extended_hours": False,
    }  # fmt: skip
    return to_order({**raw, **fields})


def evidence_of(*orders: BrokerOrder, now: datetime = NOON, is_open: bool = True) -> BrokerEvidence:
    clock = BrokerClock(timestamp=now, is_open=is_open, next_open=CLOSE + timedelta(hours=17), next_close=CLOSE)
    return replace(World(orders=orders, fills=()).evidence(), clock=clock, read_started_at=now)


# --- Stuck ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["accepted", "pending_new", "pending_cancel", "pending_replace", "held"])
def test_a_state_of_passage_that_lasts_is_stuck(status: str) -> None:
    waiting = order(status=status)
    assert stuck_since(waiting, evidence_of(waiting)) == waiting.updated_at


@pytest.mark.parametrize("status", ["new", "partially_filled", "done_for_day", "filled", "frobbed"])
def test_a_state_that_may_last_is_not(status: str) -> None:
    waiting = order(status=status)
    assert stuck_since(waiting, evidence_of(waiting)) is None


def test_nothing_is_stuck_while_the_market_is_closed() -> None:
    queued = order(status="accepted", at=NOON - timedelta(days=2))
    assert stuck_since(queued, evidence_of(queued, is_open=False)) is None


@pytest.mark.parametrize(("minutes", "is_stuck"), [(4, False), (6, True)])
def test_only_the_time_of_the_open_market_counts(minutes: int, is_stuck: bool) -> None:
    """Queued since yesterday evening; the session began a few minutes ago."""
    opened = datetime(2025, 11, 6, 14, 30, tzinfo=UTC)
    queued = order(status="accepted", at=NOON - timedelta(hours=18))
    since = stuck_since(queued, evidence_of(queued, now=opened + timedelta(minutes=minutes)))
    assert since == (opened if is_stuck else None)


@pytest.mark.parametrize("fields", [{"time_in_force": "cls", "status": "accepted"},
                                    {"time_in_force": "opg", "status": "accepted"},
                                    {"order_class": "bracket", "status": "held"},
                                    {"group_id": "g", "status": "held"}])  # fmt: skip
def test_what_waits_for_an_auction_or_an_entry_is_not_stuck(fields: dict[str, Any]) -> None:
    waiting = order(**fields)
    assert stuck_since(waiting, evidence_of(waiting)) is None


# --- Whose order it is ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "cause"),
    [
        ({"source": "liquidation"}, "liquidation"),
        ({"source": "margin-call"}, "margin call"),
        ({"client_order_id": "liquidate-2025-11-06"}, "liquidation"),
        ({"subtag": "forced"}, "forced close"),
        ({"source": "access_key"}, ""),
        ({"source": None, "subtag": "desk-a"}, ""),
        ({"client_order_id": "8f1c-liquidat"}, ""),
    ],
)
def test_alpaca_is_named_only_by_its_own_words(fields: dict[str, Any], cause: str) -> None:
    assert broker_cause(order(**{"client_order_id": "8f1c", **fields}), ()) == cause


def test_an_activity_that_names_the_order_says_why() -> None:
    row = {
        "id": "1",
        "activity_type": "OPASN",
        "order_id": "order-1",
        "qty": "100",
        "symbol": "QCOM",
        "date": "2025-11-06",
    }
    activity = to_activity(row)
    assert isinstance(activity, BrokerActivity)
    assert broker_cause(order(client_order_id="x"), (activity,)) == "assignment of an option"
    assert broker_cause(order(2, client_order_id="x"), (activity,)) == ""


@pytest.mark.parametrize(
    ("client_order_id", "intent"),
    [("ts-12-3-abc", "12-3"), ("ts-p-fix12-abc", "p-fix12"), ("ts-1", "ts-1"), ("ts-x-1", "ts-x-1")],
)
def test_the_random_end_of_an_id_is_no_wish_of_its_own(client_order_id: str, intent: str) -> None:
    assert intent_of(client_order_id) == intent


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({}, Kind.DUPLICATE_SUBMISSION),
        ({"at": NOON - timedelta(minutes=59)}, Kind.EXTERNAL_ORDER),
        ({"limit_price": "91"}, Kind.EXTERNAL_ORDER),
        ({"side": "sell"}, Kind.EXTERNAL_ORDER),
        ({"status": "canceled"}, Kind.EXTERNAL_ORDER),
    ],
)
def test_an_order_is_sent_twice_only_with_the_same_terms_within_seconds(fields: dict[str, Any], kind: Kind) -> None:
    values: dict[str, Any] = {"client_order_id": "4c1d", **fields}
    ours, other = order(1), order(2, **values)
    world = World(orders=(ours, other), fills=())
    found = compare(record_of(world, {"order-2": "unrecorded"}), world.evidence())
    assert [difference.kind for difference in found] == [kind]


# --- Terms ------------------------------------------------------------------------------------------------------


@given(st.sampled_from(["qty", "limit_price", "side", "type", "time_in_force", "extended_hours", "order_class"]))
def test_every_term_that_differs_is_named(name: str) -> None:
    values: dict[str, Any] = {"qty": "11", "limit_price": "90.01", "side": "sell", "type": "market",
              "time_in_force": "gtc", "extended_hours": True, "order_class": "bracket"}  # fmt: skip
    field = "order_type" if name == "type" else name
    assert differing_terms(spell_terms(order()), order(**{name: values[name]})) == [field]


def test_numbers_are_compared_not_their_spelling() -> None:
    assert differing_terms(spell_terms(order(qty="10.0", limit_price="90.00")), order()) == []
    assert differing_terms(spell_terms(order(order_class="simple")), order()) == []


def test_an_order_by_amount_may_tell_a_quantity_or_not() -> None:
    ours = order(qty=None, notional="1000")
    assert differing_terms(spell_terms(ours), order(qty="3.2", notional=None)) == []
    assert differing_terms(spell_terms(ours), order(qty=None, notional="900")) == ["notional"]


# --- Every order of arrival ---------------------------------------------------------------------------------------


def _fill(number: int, qty: str, minute: int) -> BrokerFill:
    row = {
        "id": f"fill-{number}", "activity_type": "FILL", "order_id": "order-1", "symbol": "QCOM", "side": "buy",
        "qty": qty, "price": "90", "type": "fill", "transaction_time": (NOON + timedelta(minutes=minute)).isoformat(),
    }  # fmt: skip
    fill = to_activity(row)
    assert isinstance(fill, BrokerFill)
    return fill


#: What becomes of one order at Alpaca: cancelled by its own list, and filled all the same, even beyond its quantity.
_LIFE = (
    ("new", ()),
    ("partially_filled", ("4",)),
    ("canceled", ("4",)),
    ("canceled", ("4", "3")),
    ("filled", ("4", "3", "3")),
    ("filled", ("4", "3", "3", "2")),
)


def _at(stage: int) -> World:
    status, sizes = _LIFE[stage]
    fills = tuple(_fill(number, qty, number) for number, qty in enumerate(sizes))
    filled = sum((fill.qty for fill in fills), Decimal(0))
    shown = order(status=status, filled_qty=str(filled), filled_avg_price="90" if filled else None,
                  updated_at=(NOON + timedelta(minutes=stage)).isoformat())  # fmt: skip
    return World(orders=(shown,), fills=fills)


def _repaired(record: LocalRecord, world: World) -> LocalRecord:
    evidence = world.evidence()
    for _ in range(3):
        if not (proposals := plan(explain(compare(record, evidence), record, evidence), record, evidence)):
            break
        record = apply_all(record, world, proposals)
    assert compare(record, evidence) == []
    return record


@pytest.mark.parametrize("seen", list(permutations(range(len(_LIFE)), 2)))
def test_no_fill_is_skipped_whatever_was_known_before(seen: tuple[int, int]) -> None:
    """Zombie, late fill, overfill: from any earlier or later picture the books come to what Alpaca says."""
    known, now = map(_at, seen)
    record = _repaired(record_of(known, {}), now)
    held = sum((entry.qty for entry in record.ledgers["QCOM"]), Decimal(0))
    assert held == now.orders[0].filled_qty
    assert record.orders[0].status == now.orders[0].status


def test_more_filled_than_ordered_needs_a_person() -> None:
    record, evidence = record_of(_at(4), {}), _at(5).evidence()
    found = explain(compare(record, evidence), record, evidence)
    assert found[0].difference.sentence.endswith("That is more than was ordered.")
    assert [proposal.is_safe_copy for proposal in plan(found, record, evidence)] == [False]
