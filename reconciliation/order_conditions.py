"""What can be wrong with an order at Alpaca although both sides say the same of it: stuck, or not changed. Pure."""

from collections.abc import Iterator
from datetime import datetime, time, timedelta

from broker.times import NEW_YORK
from broker.types import BrokerClock, BrokerOrder
from orders.lifecycle import is_terminal
from reconciliation.difference import Difference
from reconciliation.evidence import BrokerEvidence, LocalChange, LocalRecord
from reconciliation.kinds import Kind
from reconciliation.terms import spell_terms
from reconciliation.wording import dollars_of, name_of

#: With the market open an order leaves these states within moments.
_PASSING = frozenset({"pending_new", "pending_cancel", "pending_replace", "accepted", "accepted_for_bidding", "held"})
#: They wait for an auction of the session.
_AUCTIONS = frozenset({"opg", "cls"})
STUCK_AFTER = timedelta(minutes=5)
#: A change that was taken shows within moments; this long without a sign it has not been carried out.
CHANGE_SHOWS_WITHIN = timedelta(minutes=2)
_OPENING = time(9, 30)


def stuck_since(order: BrokerOrder, evidence: BrokerEvidence) -> datetime | None:
    """Return since when an order has waited in the open market for what takes moments, if it has for too long.

    By Alpaca's clock. While the market is closed nothing is stuck: it is queued.
    """
    clock, since = evidence.clock, order.updated_at or order.submitted_at
    if not clock.is_open or since is None or order.status not in _PASSING:
        return None
    waits_for_auction = order.time_in_force in _AUCTIONS and order.status.startswith("accepted")
    waits_for_entry = order.status == "held" and bool(order.order_class or order.raw.get("group_id"))
    if waits_for_auction or waits_for_entry:
        return None
    since = max(since, _opened_at(clock))
    return since if clock.timestamp - since > STUCK_AFTER else None


def _opened_at(clock: BrokerClock) -> datetime:
    """When this session began. Where the clock tells of none, as one that never closes: long ago."""
    closes = clock.next_close.astimezone(NEW_YORK)
    opened = datetime.combine(closes.date(), _OPENING, NEW_YORK)
    return opened if opened <= clock.timestamp else datetime.min.replace(tzinfo=NEW_YORK)


# --- Changes that Alpaca did not make ---------------------------------------------------------------------------


def change_refused(new: BrokerOrder, evidence: BrokerEvidence) -> bool:
    """Whether a replacement was rejected while the order that it should replace went on."""
    old = evidence.orders.get(new.replaces)
    return new.status == "rejected" and new.filled_qty == 0 and (old is None or old.replaced_by != new.broker_order_id)


def compare_changes(record: LocalRecord, evidence: BrokerEvidence) -> Iterator[Difference]:
    """Cancels and replacements that we hold for made or under way, of orders that stand as they were."""
    for change in record.changes:
        order = evidence.orders.get(change.broker_order_id)
        if order is None or is_terminal(order.status) or order.status in {"pending_cancel", "pending_replace"}:
            continue
        if change.state != "done" and evidence.read_started_at - change.requested_at <= CHANGE_SHOWS_WITHIN:
            continue
        yield _not_made(change, order)


def _not_made(change: LocalChange, order: BrokerOrder) -> Difference:
    terms = spell_terms(order)
    if change.action == "cancel":
        wanted, there = {"status": "canceled"}, {"status": order.status}
        text = f"{name_of(order)} was to be cancelled, and is still {order.status} at Alpaca."
    else:
        wanted = dict(change.wanted)
        there = {name: terms.get(name) or "" for name in wanted}
        said = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in wanted.items())
        text = f"{name_of(order)} was to be changed to {said}, and stands at Alpaca as it was."
    return Difference(
        kind=Kind.REFUSED_CHANGE,
        subject=f"{change.broker_order_id}/{change.pk}",
        symbol=change.symbol,
        local={"action": change.action, "change_state": change.state, **wanted},
        broker={"change_state": "refused", **there},
        sentence=text,
        dollars=dollars_of(order, ()),
    )
