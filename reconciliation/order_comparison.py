"""Compare orders: which of ours is which of theirs, then what each says. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from broker.numbers import plain
from broker.types import BrokerFill, BrokerOrder
from orders.identity import is_ours
from orders.lifecycle import SubmissionState
from reconciliation import unlinked_orders
from reconciliation.difference import Difference
from reconciliation.duplicates import find_twins, live_twin
from reconciliation.evidence import BrokerEvidence, LocalFill, LocalOrder, LocalRecord
from reconciliation.fill_comparison import absent_fills, compare_busts
from reconciliation.kinds import Kind
from reconciliation.linked_orders import Linked, compare_linked
from reconciliation.order_conditions import change_refused, compare_changes
from reconciliation.wording import order_facts


def compare_orders(record: LocalRecord, evidence: BrokerEvidence) -> Iterator[Difference]:
    sides = _Sides.of(record, evidence)
    for theirs in evidence.orders.values():
        ours = sides.by_broker_id.get(theirs.broker_order_id)
        if ours is not None:
            yield from _compare_known(ours, theirs, sides)
        else:
            yield _compare_unknown(theirs, sides)
    yield from compare_changes(record, evidence)
    yield from _compare_unseen_orders(record, evidence)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sides:
    """Both sides, each by what the other knows it by."""

    record: LocalRecord
    evidence: BrokerEvidence
    by_broker_id: Mapping[str, LocalOrder]
    by_client_id: Mapping[str, LocalOrder]
    fills: Mapping[str, tuple[BrokerFill, ...]]  # Alpaca's, by order
    booked: Mapping[str, Mapping[str, LocalFill]]  # ours, by order
    absent: frozenset[str]  # of our fills those that Alpaca does not have
    legs: frozenset[str]
    groups: frozenset[str]
    twins: Mapping[str, BrokerOrder]  # by the id of the later order: the one that it repeats

    @classmethod
    def of(cls, record: LocalRecord, evidence: BrokerEvidence) -> "_Sides":
        by_broker_id = {order.broker_order_id: order for order in record.orders if order.broker_order_id}
        by_client_id = {order.client_order_id: order for order in record.orders}
        legs, groups = _our_legs(record, evidence, by_broker_id)
        return cls(
            record=record,
            evidence=evidence,
            by_broker_id=by_broker_id,
            by_client_id=by_client_id,
            fills=_fills_by_order(evidence.fills.values()),
            booked=_booked_by_order(record.fills.values()),
            absent=absent_fills(record, evidence),
            legs=frozenset(legs),
            groups=frozenset(groups),
            twins=find_twins(evidence, by_broker_id=by_broker_id, by_client_id=by_client_id, legs=legs, groups=groups),
        )


def _compare_known(ours: LocalOrder, theirs: BrokerOrder, sides: _Sides) -> Iterator[Difference]:
    order_id = theirs.broker_order_id
    linked = Linked.of(ours, theirs, sides.booked.get(order_id, {}), sides.fills.get(order_id, ()), sides.absent)
    yield from compare_linked(linked, sides.evidence)
    yield from compare_busts(linked, sides.evidence)
    if (first := sides.twins.get(order_id)) is not None:
        yield live_twin(theirs, first, ours)


def _compare_unknown(theirs: BrokerOrder, sides: _Sides) -> Difference:
    """An order that no row of ours is linked to: found again, one of ours by its name, or somebody else's."""
    fills = sides.fills.get(theirs.broker_order_id, ())
    ours = sides.by_client_id.get(theirs.client_order_id)
    if ours is not None and not ours.broker_order_id:
        return unlinked_orders.found(ours, theirs, fills)
    chain = list(_chain_back(theirs, sides.evidence))
    replaced = next((sides.by_broker_id[link] for link in chain if link in sides.by_broker_id), None)
    if replaced is not None:
        if change_refused(theirs, sides.evidence):
            return unlinked_orders.refused(replaced, theirs)
        return unlinked_orders.replacing(replaced, theirs, fills)
    if (first := sides.twins.get(theirs.broker_order_id)) is not None:
        return unlinked_orders.sent_twice(theirs, first, fills)
    orders = sides.evidence.orders
    older = [orders[link].client_order_id for link in chain if link in orders]
    is_leg = theirs.broker_order_id in sides.legs or group_of(theirs) in sides.groups
    is_own = is_leg or any(map(is_ours, [theirs.client_order_id, *older]))
    return unlinked_orders.unrecorded(theirs, fills, sides.evidence.other_activities, is_own=is_own)


# --- Which belongs to which -----------------------------------------------------------------------------------


def _fills_by_order(fills: Iterable[BrokerFill]) -> Mapping[str, tuple[BrokerFill, ...]]:
    grouped: dict[str, list[BrokerFill]] = defaultdict(list)
    for fill in fills:
        grouped[fill.broker_order_id].append(fill)
    return {order_id: tuple(sorted(group, key=_by_time)) for order_id, group in grouped.items()}


def _by_time(fill: BrokerFill) -> tuple[object, str]:
    return (fill.transaction_time, fill.activity_id)


def _booked_by_order(fills: Iterable[LocalFill]) -> Mapping[str, Mapping[str, LocalFill]]:
    grouped: dict[str, dict[str, LocalFill]] = defaultdict(dict)
    for fill in fills:
        grouped[fill.broker_order_id][fill.activity_id] = fill
    return grouped


def group_of(order: BrokerOrder) -> str:
    """The group that a bracket, OCO or OTO and its legs share; legs have client_order_ids of Alpaca's making."""
    return str(order.raw.get("group_id") or "")


def _our_legs(
    record: LocalRecord, evidence: BrokerEvidence, by_broker_id: Mapping[str, LocalOrder]
) -> tuple[set[str], set[str]]:
    """Return ids of the legs, and of the groups, of orders that are ours: listed one by one, legs do not say so."""
    known = [o for o in evidence.orders.values() if is_ours(o.client_order_id) or o.broker_order_id in by_broker_id]
    legs = {leg for order in record.orders for leg in order.leg_ids} | {leg for o in known for leg in o.leg_ids}
    groups = {order.group_id for order in record.orders} | {group_of(order) for order in known}
    return legs, groups - {""}


def _chain_back(theirs: BrokerOrder, evidence: BrokerEvidence) -> Iterator[str]:
    """The ids that this order replaces, newest first: a replacement has a new id and a new client_order_id."""
    seen: set[str] = set()
    order: BrokerOrder | None = theirs
    while order is not None and order.replaces and order.replaces not in seen:
        seen.add(order.replaces)
        yield order.replaces
        order = evidence.orders.get(order.replaces)


# --- What Alpaca does not show --------------------------------------------------------------------------------


def _compare_unseen_orders(record: LocalRecord, evidence: BrokerEvidence) -> Iterator[Difference]:
    for ours in record.orders:
        if (
            ours.broker_order_id in evidence.absent_order_ids
            and ours.broker_order_id
            and ours.submission_state == SubmissionState.CONFIRMED
        ):
            text = f"Alpaca does not know order {ours.broker_order_id} ({ours.side} {ours.symbol}) any more."
            yield _about_local(Kind.ORDER_MISSING_AT_BROKER, ours.broker_order_id, ours, text)
        elif (
            ours.client_order_id in evidence.absent_client_order_ids
            and ours.submission_state == SubmissionState.UNCONFIRMED
        ):
            text = (
                f"{ours.side} {plain(ours.qty) or ''} {ours.symbol} was sent without an answer. Alpaca does not show "
                "it yet; look-ups go on until that is certain."
            )
            yield _about_local(Kind.UNCONFIRMED_SUBMIT, ours.client_order_id, ours, text)


def _about_local(kind: Kind, subject: str, ours: LocalOrder, sentence: str) -> Difference:
    return Difference(
        kind=kind,
        subject=subject,
        symbol=ours.symbol,
        local=order_facts(ours),
        broker={},
        sentence=sentence,
        order_pk=ours.pk,
    )
