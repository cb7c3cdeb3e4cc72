"""Plan the repair of the cash ledger: copies of Alpaca's entries, and one of our own with a person's reason. Pure."""

from collections.abc import Sequence

from broker.numbers import exact, plain
from broker.types import BrokerActivity
from reconciliation.difference import Difference
from reconciliation.evidence import BrokerEvidence, LocalRecord
from reconciliation.proposals import Operation, Proposal, make_proposal

#: The action of a fix that books money which nothing explains: whoever approves it says why.
NEEDS_REASON = "book_cash_correction"


def plan_cash_activity(
    root: Difference, _followers: Sequence[Difference], _record: LocalRecord, _evidence: BrokerEvidence
) -> Proposal:
    (activity,) = root.activities
    facts = {name: root.broker[name] for name in ("activity_type", "day", "net_amount")}
    return make_proposal(
        root,
        action="book_cash_entry",
        title=f"Record {activity.activity_type} of {plain(activity.net_amount)} dollars"
        + (f" for {activity.symbol}" if activity.symbol else ""),
        operations=[_copy(activity)],
        before={"entry": dict.fromkeys(facts, "")},
        broker={"entry": facts},
        after={"entry": facts},
        about=[root],
    )


def plan_cash(
    root: Difference, _followers: Sequence[Difference], record: LocalRecord, _evidence: BrokerEvidence
) -> Proposal | None:
    """An entry of the difference. Nothing says what it is, so that a person must."""
    if record.cash is None:
        return None
    amount = exact(root.broker["cash"]) - exact(root.local["cash"])
    sign = "+" if amount > 0 else "−"
    return make_proposal(
        root,
        action=NEEDS_REASON,
        title=f"Book {sign}${abs(amount):,.2f} of cash that nothing explains",
        operations=[{"op": "book_cash_correction", "amount": plain(amount)}],
        before={},
        broker={},
        after={},
        about=[root],
    )


def copies_of(activities: Sequence[BrokerActivity], record: LocalRecord) -> list[Operation]:
    """The money beside a fix about shares; without an opening balance it is in none, and so needs no entry."""
    return [_copy(activity) for activity in activities] if record.cash is not None else []


def _copy(activity: BrokerActivity) -> Operation:
    return {"op": "book_cash_entry", "activity": dict(activity.raw)}
