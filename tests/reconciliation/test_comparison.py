"""The pure core: comparing, explaining and planning, for any mixture of what our books have and lack."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given

from positions.accounting import LedgerEntry, position_at
from reconciliation.comparison import compare
from reconciliation.difference import Difference
from reconciliation.evidence import BrokerEvidence, LocalRecord
from reconciliation.explanation import explain
from reconciliation.kinds import Kind
from reconciliation.planning import plan
from tests.reconciliation.worlds import World, apply_all, inventions, record_of, worlds

Drawn = tuple[World, dict[str, str]]
#: Not differences of the two sides, but what is wrong on both: no fix of our books ends them.
CONDITIONS = {Kind.POSITION_DUST, Kind.STUCK_ORDER, Kind.UNKNOWN_STATUS}


def differences(record: LocalRecord, evidence: BrokerEvidence) -> list[Difference]:
    return [difference for difference in compare(record, evidence) if difference.kind not in CONDITIONS]


@given(worlds())
def test_equal_sides_have_no_difference(drawn: Drawn) -> None:
    world, _lags = drawn
    assert differences(record_of(world, {}), world.evidence()) == []


@given(worlds())
def test_every_lag_is_seen(drawn: Drawn) -> None:
    world, lags = drawn
    found = compare(record_of(world, lags), world.evidence())
    about = {difference.broker_order.broker_order_id for difference in found if difference.broker_order}
    for order in world.orders:
        lag = lags[order.broker_order_id]
        lacks_fills = lag == "fills_missing" and order.filled_qty > 0
        is_behind = lag == "status_behind" and (order.status != "new")
        is_over = lag == "ended_too_soon" and (order.status, order.filled_qty) != ("canceled", Decimal(0))
        always = lag in {"unrecorded", "unlinked", "terms_differ", "fill_busted"}
        assert (order.broker_order_id in about) == (always or lacks_fills or is_behind or is_over)


@given(worlds())
def test_applying_every_fix_leaves_no_difference(drawn: Drawn) -> None:
    world, lags = drawn
    record, evidence = record_of(world, lags), world.evidence()
    explained = explain(compare(record, evidence), record, evidence)
    after = apply_all(record, world, plan(explained, record, evidence))
    assert differences(after, evidence) == []


@given(worlds(), inventions())
def test_repairing_as_long_as_fixes_are_proposed_ends_in_step(
    drawn: Drawn, invented: dict[str, list[LedgerEntry]]
) -> None:
    """A position is adjusted only once the orders of its symbol are in step, so that it may take another look."""
    world, lags = drawn
    record, evidence = record_of(world, lags, invented), world.evidence()
    for _ in range(3):
        proposals = plan(explain(compare(record, evidence), record, evidence), record, evidence)
        if not proposals:
            break
        record = apply_all(record, world, proposals)
    assert differences(record, evidence) == []
    held = {symbol: position_at(entries).qty for symbol, entries in record.ledgers.items()}
    assert {symbol: qty for symbol, qty in held.items() if qty} == {
        symbol: position.qty for symbol, position in evidence.positions.items()
    }


@given(worlds(), inventions())
def test_only_a_copy_of_a_fact_is_called_safe(drawn: Drawn, invented: dict[str, list[LedgerEntry]]) -> None:
    world, lags = drawn
    record, evidence = record_of(world, lags, invented), world.evidence()
    for proposal in plan(explain(compare(record, evidence), record, evidence), record, evidence):
        if proposal.is_safe_copy:
            assert {operation["op"] for operation in proposal.operations} <= {"import_order", "book_order"}


@given(worlds())
def test_the_same_sight_twice_gives_the_same_plan(drawn: Drawn) -> None:
    world, lags = drawn
    turned = World(orders=tuple(reversed(world.orders)), fills=tuple(reversed(world.fills)))
    plans = []
    for order_of_arrival in (world, turned):
        record, evidence = record_of(world, lags), order_of_arrival.evidence()
        proposals = plan(explain(compare(record, evidence), record, evidence), record, evidence)
        plans.append([(proposal.key, proposal.fingerprint) for proposal in proposals])
    assert plans[0] == plans[1]


@given(worlds())
def test_a_position_is_a_consequence_only_of_fills_that_explain_it(drawn: Drawn) -> None:
    world, lags = drawn
    record, evidence = record_of(world, lags), world.evidence()
    explained = explain(compare(record, evidence), record, evidence)
    roots = {item.difference.key for item in explained if item.cause_key is None}
    for item in explained:
        assert item.cause_key is None or item.cause_key in roots
        # Here every position follows from its fills, so none can be a riddle.
        if item.difference.kind in {Kind.POSITION_BROKER_ONLY, Kind.POSITION_DATABASE_ONLY, Kind.POSITION_QTY}:
            assert item.cause_key is not None


@given(worlds())
def test_a_share_more_at_the_broker_is_no_consequence(drawn: Drawn) -> None:
    world, lags = drawn
    record, evidence = record_of(world, lags), world.evidence()
    moved = {s: replace(p, qty=p.qty + Decimal("0.0005")) for s, p in evidence.positions.items()}
    evidence = replace(evidence, positions={s: p for s, p in moved.items() if p.qty != 0})
    in_flight = {order.symbol for order in record.orders if order.is_in_flight}
    explained = explain(compare(record, evidence), record, evidence)
    for symbol in set(evidence.positions) - in_flight:
        roots = [e for e in explained if e.difference.subject == symbol and e.cause_key is None]
        assert roots, f"{symbol} has a share that no fill explains"


@given(worlds())
def test_a_fix_changes_when_either_side_moves(drawn: Drawn) -> None:
    world, lags = drawn
    record, evidence = record_of(world, lags), world.evidence()
    before = {
        p.key: p.fingerprint for p in plan(explain(compare(record, evidence), record, evidence), record, evidence)
    }
    busier = {key: replace(order, status="pending_cancel") for key, order in evidence.orders.items()}
    evidence = replace(evidence, orders=busier)
    after = _fingerprints(record, evidence)
    for key, fingerprint in before.items():
        if key.startswith(("our_order_unlinked", "external_order", "unconfirmed_submit", "status_behind")):
            assert after.get(key) != fingerprint


def _fingerprints(record: LocalRecord, evidence: BrokerEvidence) -> dict[str, str]:
    explained = explain(compare(record, evidence), record, evidence)
    return {proposal.key: proposal.fingerprint for proposal in plan(explained, record, evidence)}
