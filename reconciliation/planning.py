"""Plan a fix for each root cause. Pure: the plan is data; nothing is written here.

A plan is a list of operations. An operation that copies broker facts carries the raw JSON they came in, so that
what is booked is what was shown. Where no safe or honest repair exists there is no plan, and the reason is given.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from broker.numbers import plain
from broker.types import BrokerOrder
from orders.identity import is_ours
from orders.lifecycle import KNOWN_STATUSES, is_terminal
from positions.accounting import LedgerEntry
from reconciliation.adjusting import adjust_position, plan_superseded, rebuild, take_back
from reconciliation.cash_planning import plan_cash, plan_cash_activity
from reconciliation.corporate_planning import plan_corporate
from reconciliation.difference import Difference, Explained, Facts
from reconciliation.effects import with_effects
from reconciliation.entered_planning import plan_exit
from reconciliation.evidence import BrokerEvidence, LocalRecord
from reconciliation.explanation import new_fills
from reconciliation.guesses import guesses_to_take_back
from reconciliation.kinds import Kind
from reconciliation.opposite_planning import plan_opposites
from reconciliation.order_planning import (
    plan_busted_fill,
    plan_missing_order,
    plan_refused_change,
    plan_terms,
)
from reconciliation.pair_planning import PAIR_PLANNERS
from reconciliation.proposals import Operation, Proposal, fill_text, make_proposal, position_columns
from reconciliation.protection_explanation import is_protection
from reconciliation.protection_planning import PROTECTION_PLANNERS, broker_choices
from reconciliation.target_planning import SWAP_PLANNERS
from reconciliation.wording import order_facts

#: Kinds whose repair copies the order and its fills as Alpaca gives them.
COPIES_ORDER = frozenset(
    {
        Kind.OUR_ORDER_UNLINKED,
        Kind.EXTERNAL_ORDER,
        Kind.UNCONFIRMED_SUBMIT,
        Kind.REPLACE_CHAIN,
        Kind.STATUS_BEHIND,
        Kind.FILLED_QTY_BEHIND,
        Kind.MISSING_FILL,
        Kind.ZOMBIE_ORDER,
        Kind.FILLED_QTY_AHEAD,
        Kind.BROKER_GENERATED_ORDER,
        Kind.DUPLICATE_SUBMISSION,
        Kind.LATE_FILL,
        Kind.REFUSED_CHANGE,
    }
)
#: Alpaca takes back what it said before: its word is copied over ours, and always by a person's decision.
RESTATES_ORDER = frozenset({Kind.ZOMBIE_ORDER, Kind.FILLED_QTY_AHEAD})
#: The order at Alpaca has no row of ours, whatever row of ours it is about.
NOT_RECORDED = frozenset({Kind.REPLACE_CHAIN, Kind.REFUSED_CHANGE})
#: What is wrong there says nothing about what is held.
LEAVES_POSITION = frozenset(
    {
        Kind.TERMS_DIFFER,
        Kind.REFUSED_CHANGE,
        Kind.STUCK_ORDER,
        Kind.CLOSED_WITHOUT_EXIT,
        Kind.POSITION_DUST,
        Kind.CASH_ACTIVITY,
    }
)
ADJUSTS_POSITION = frozenset(
    {
        Kind.POSITION_BROKER_ONLY,
        Kind.POSITION_DATABASE_ONLY,
        Kind.POSITION_QTY,
        Kind.POSITION_SIDE,
        Kind.POSITION_AVG_PRICE,
    }
)


Planner = Callable[[Difference, Sequence[Difference], LocalRecord, BrokerEvidence], Proposal | None]
#: Kinds whose repair is planned in a module of its own. A planner returns None where no honest repair exists.
PLANNERS: Mapping[Kind, Planner] = {
    Kind.ORDER_MISSING_AT_BROKER: plan_missing_order,
    Kind.TERMS_DIFFER: plan_terms,
    Kind.REFUSED_CHANGE: plan_refused_change,
    Kind.FILL_BUSTED: plan_busted_fill,
    Kind.INFERRED_SUPERSEDED: plan_superseded,
    Kind.CLOSED_WITHOUT_EXIT: plan_exit,
    **PROTECTION_PLANNERS,
    **PAIR_PLANNERS,
    **SWAP_PLANNERS,
    Kind.SPLIT: plan_corporate,
    Kind.SYMBOL_CHANGE: plan_corporate,
    Kind.TRANSFER: plan_corporate,
    Kind.CASH_ACTIVITY: plan_cash_activity,
    Kind.CASH: plan_cash,
}


def plan(explained: list[Explained], record: LocalRecord, evidence: BrokerEvidence) -> list[Proposal]:
    """Return the fixes for the roots that have one, in the order of the differences."""
    roots = [item.difference for item in explained if item.cause_key is None]
    followers: dict[str, list[Difference]] = defaultdict(list)
    for item in explained:
        if item.cause_key is not None:
            followers[item.cause_key].append(item.difference)
    blocked = {d.symbol for d in roots if _may_explain_position(d)}
    guesses = _superseded(roots, followers, record, evidence)
    proposals = []
    for root in roots:
        about = [root, *(d for d in followers[root.key] if d.broker_order is not None and not is_protection(d))]
        if root.kind in COPIES_ORDER and root.broker_order is not None and _can_be_copied(root, about):
            proposals.append(_copy_order(root, about, guesses.pop(root.symbol, ()), record, evidence))
        elif (planner := PLANNERS.get(root.kind)) is not None:
            proposal = planner(root, followers[root.key], record, evidence)
            proposals += [proposal] if proposal else []
        elif root.gone_fill:
            proposals.append(_take_out_fill(root, record, evidence))
        elif root.kind in ADJUSTS_POSITION and root.symbol not in blocked:
            proposals.append(adjust_position(root, record, evidence))
        elif root.kind == Kind.PENDING_NEVER_FILLED:
            proposals.append(rebuild(root, record, evidence))
    proposals += [*broker_choices(roots, evidence), *plan_opposites(record, evidence)]
    return with_effects(proposals, explained, record, evidence)


def _may_explain_position(root: Difference) -> bool:
    """A gap is not guessed at while another repair may close it. An entry that does not lead to Alpaca's position is
    no such repair: what it lacks is nowhere to be found, and without a guess the two would differ for ever."""
    if root.kind in {Kind.SPLIT, Kind.TRANSFER} and not root.explains:
        return False
    return root.kind not in ADJUSTS_POSITION | LEAVES_POSITION and not is_protection(root)


def _can_be_copied(root: Difference, about: list[Difference]) -> bool:
    """An order is not copied before Alpaca lists all its fills; what it took back it will never list."""
    order = root.broker_order
    if root.kind == Kind.DUPLICATE_SUBMISSION and order and is_ours(order.client_order_id):
        # While it can be cancelled, that is the repair; recording it would make two wishes of one.
        return is_terminal(order.status) and root.order_pk is None and root.fills_are_complete
    return root.kind in RESTATES_ORDER or all(difference.fills_are_complete for difference in about)


def _is_odd(order: BrokerOrder) -> bool:
    """A copy that a person must look at: more was filled than ordered, or in a state that nobody knows."""
    return order.status not in KNOWN_STATUSES or (order.qty is not None and order.filled_qty > order.qty)


def _superseded(
    roots: list[Difference], followers: Mapping[str, list[Difference]], record: LocalRecord, evidence: BrokerEvidence
) -> dict[str, tuple[LedgerEntry, ...]]:
    """By symbol, the guessed corrections whose true fills have come: one must not count beside the other."""
    about_orders: dict[str, list[Difference]] = defaultdict(list)
    for root in roots:
        if root.kind in COPIES_ORDER:
            about_orders[root.symbol] += [root, *followers[root.key]]
    found = {}
    for symbol, differences in about_orders.items():
        if fills := new_fills(differences):
            found[symbol] = guesses_to_take_back(symbol, fills, record, evidence)
    return found


# --- Copying an order with its fills ------------------------------------------------------------------------


def _copy_order(
    root: Difference,
    about: list[Difference],
    guesses: tuple[LedgerEntry, ...],
    record: LocalRecord,
    evidence: BrokerEvidence,
) -> Proposal:
    one_each = {d.broker_order.broker_order_id: d for d in reversed(about) if d.broker_order}
    operations = [_copy_operation(difference) for difference in reversed(one_each.values())]
    operations += [take_back(entry, root.symbol) for entry in guesses]
    fills = new_fills(one_each.values())
    without = frozenset(entry.order_key for entry in guesses)
    before_position, after_position, broker_position = position_columns(
        root.symbol, fills, record, evidence, without=without
    )
    action = _ACTIONS.get(root.kind, "update_order")
    order = root.broker_order
    assert order is not None  # noqa: S101  # the caller has checked; this tells the type checker
    their_order = {**order_facts(order), "fills": [fill_text(fill) for fill in root.new_fills]}
    size = plain(order.qty) or f"${plain(order.notional)}"
    instead = " in place of a correction" if guesses else ""
    return make_proposal(
        root,
        action=action,
        title=f"{_VERBS[action]} {order.side} {size} {order.symbol}{instead}",
        operations=operations,
        before={"order": _local_order(root), "position": before_position},
        broker={"order": their_order, "position": broker_position},
        after={"order": {**their_order, "submission_state": "confirmed"}, "position": after_position},
        about=about,
        is_guess=bool(guesses) or _is_odd(order),
    )


_ACTIONS = {
    Kind.OUR_ORDER_UNLINKED: "import_order",
    Kind.EXTERNAL_ORDER: "adopt_order",
    Kind.REPLACE_CHAIN: "follow_replacement",
    Kind.UNCONFIRMED_SUBMIT: "link_order",
    Kind.ZOMBIE_ORDER: "restate_order",
    Kind.FILLED_QTY_AHEAD: "restate_order",
    Kind.BROKER_GENERATED_ORDER: "record_broker_order",
    Kind.DUPLICATE_SUBMISSION: "record_duplicate",
    Kind.REFUSED_CHANGE: "record_refusal",
}
_VERBS = {
    "import_order": "Record our order",
    "adopt_order": "Adopt the outside order",
    "follow_replacement": "Record the replacement",
    "link_order": "Confirm the order",
    "update_order": "Update the order",
    "restate_order": "Take over Alpaca's state of the order",
    "record_broker_order": "Record the order that Alpaca made itself:",
    "record_duplicate": "Record the order that was sent twice:",
    "record_refusal": "Record the refused replacement",
}


def _take_out_fill(root: Difference, record: LocalRecord, evidence: BrokerEvidence) -> Proposal:
    """Take a fill that Alpaca does not have (so) out of the ledger. The fix keeps it, and can put it back."""
    before, after, broker = position_columns(
        root.symbol, root.new_fills, record, evidence, without=frozenset({root.gone_fill})
    )
    ours = f"{root.local['side']} {root.local['qty']} {root.symbol} at {root.local['price']}"
    instead = f" and book {root.new_fills[0].qty} at {root.new_fills[0].price} instead" if root.new_fills else ""
    return make_proposal(
        root,
        action="take_out_fill",
        title=f"Take the fill {ours} out of the ledger{instead}",
        operations=[
            {
                "op": "take_out_fill",
                "symbol": root.symbol,
                "activity_id": root.gone_fill,
                "said": dict(root.local),
                "fills": [fill.raw for fill in root.new_fills],
            }
        ],
        before={"fill": root.local, "position": before},
        broker={"fill": root.broker, "position": broker},
        after={"fill": root.broker or dict.fromkeys(root.local, ""), "position": after},
        about=[root],
    )


def _copy_operation(difference: Difference) -> Operation:
    order = difference.broker_order
    assert order is not None  # noqa: S101  # the caller has checked; this tells the type checker
    linked = None if difference.kind in NOT_RECORDED else difference.order_pk
    return {
        "op": "book_order" if linked else "import_order",
        "order_pk": linked,
        "origin": _origin(difference, order),
        "restates": difference.kind in RESTATES_ORDER,
        "order": order.raw,
        "fills": [fill.raw for fill in difference.new_fills],
    }


def _origin(difference: Difference, order: BrokerOrder) -> str:
    from_outside = difference.kind in {Kind.EXTERNAL_ORDER, Kind.BROKER_GENERATED_ORDER}
    is_twin = difference.kind == Kind.DUPLICATE_SUBMISSION and not is_ours(order.client_order_id)
    return "external" if from_outside or is_twin else "backfill"


def _local_order(root: Difference) -> Facts:
    if root.kind in NOT_RECORDED:
        return {}
    if root.kind == Kind.MISSING_FILL and root.broker_order is not None:
        # The order itself agrees; only its fills are missing.
        return {**order_facts(root.broker_order), "fills": []}
    return root.local
