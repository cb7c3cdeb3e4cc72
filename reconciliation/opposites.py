"""The way back from a fix that acted at Alpaca: not undone, which is impossible, but answered by its opposite.

A person wants it; the next run proposes it from what Alpaca then shows; it is approved, sent and verified like any
other fix that acts there.
"""

from datetime import datetime
from typing import Any

from django.db import transaction

from audit import journal
from broker.models import Account
from orders.models import Order, OrderChange
from reconciliation.broker_permission import refuse_without_permission
from reconciliation.errors import FixRefused
from reconciliation.evidence import LocalOpposite
from reconciliation.models import Fix

#: Under this name the wish stands beside the rows by which the fix is found.
WISH = "opposite"
ENDED = (Fix.State.VERIFIED, Fix.State.FAILED)

_IN_WORDS = {
    "place_protection": "Its opposite is to cancel the order that it placed; the position then has no stop.",
    "replace_order": "Its opposite is to replace the order once more, back to its old terms.",
    "cancel_order": "A cancelled order does not come back: if it is wanted after all, a new one must be sent.",
}


def opposite_in_words(fix: Fix) -> str:
    """Say what can be done about a fix that acted at Alpaca, before and after it is approved."""
    said = [_IN_WORDS[operation["op"]] for operation in fix.plan if operation["op"] in _IN_WORDS]
    return " ".join(["It cannot be undone: what left for Alpaca cannot be taken back.", *dict.fromkeys(said)])


def has_opposite(fix: Fix) -> bool:
    return fix.acts_at_broker and fix.state in ENDED and bool(_wishes(fix)) and not is_wanted(fix)


def is_wanted(fix: Fix) -> bool:
    return WISH in (fix.undo_plan or {})


def want_opposite(*, fix: Fix, actor: str, reason: str, now: datetime) -> None:
    """Note the wish in one transaction with its audit entry; the next run proposes what it takes."""
    refuse_without_permission([fix], actor)
    if not has_opposite(fix):
        raise FixRefused(f"Fix {fix.pk} has no opposite that could be proposed. {opposite_in_words(fix)}")
    with transaction.atomic():
        mine = Fix.objects.filter(pk=fix.pk, state=fix.state, undo_plan=fix.undo_plan)
        wish = {"by": actor, "at": now.isoformat(), "reason": reason}
        if not mine.update(undo_plan={**fix.undo_plan, WISH: wish}):
            raise FixRefused(f"Fix {fix.pk} was changed by somebody else just now. Look at it again.")
        journal.record(
            at=now,
            actor=actor,
            action="fix.opposite_wanted",
            account=fix.account.slug,
            subject_type="fix",
            subject_id=fix.pk,
            summary=f"Wants the opposite of: {fix.title}",
            reason=reason,
        )
    fix.refresh_from_db()


def wanted_opposites(account: Account) -> tuple[LocalOpposite, ...]:
    """What people want reversed, by the orders that it takes."""
    fixes = Fix.objects.filter(account=account, acts_at_broker=True, state__in=ENDED, undo_plan__has_key=WISH)
    return tuple(wish for fix in fixes.order_by("pk") for wish in _wishes(fix))


def _wishes(fix: Fix) -> list[LocalOpposite]:
    rows: dict[str, Any] = (fix.undo_plan or {}).get("at_broker") or {}
    placed = Order.objects.filter(pk__in=rows.get("orders", ())).exclude(broker_order_id="").order_by("pk")
    found = [LocalOpposite(fix_pk=fix.pk, key=fix.key, broker_order_id=order.broker_order_id) for order in placed]
    replaced = OrderChange.objects.filter(
        pk__in=rows.get("changes", ()), action=OrderChange.Action.REPLACE, state=OrderChange.State.DONE
    )
    was = {op["broker_order_id"]: op["was"] for op in fix.plan if op["op"] == "replace_order"}
    for change in replaced.order_by("pk"):
        old = {name: str(was[change.broker_order_id][name]) for name in change.wanted}
        found.append(LocalOpposite(fix_pk=fix.pk, key=fix.key, broker_order_id=change.replaced_by, wanted=old))
    return found
