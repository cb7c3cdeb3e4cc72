"""Bind the books anew when another account answers: the old rows are archived whole, and new, empty books begin.

Nothing is deleted and nothing is moved: the old account row keeps everything that belongs to it, under another slug,
switched off. The account that answers gets a row of its own under the old slug, and with it the same keys.
"""

from datetime import datetime

from django.db import transaction

from audit import journal
from broker.models import Account
from broker.times import NEW_YORK
from positions.in_force import ensure_default_parameters
from reconciliation.errors import ReconciliationError
from reconciliation.kinds import Kind
from reconciliation.models import Drift
from reconciliation.running import account_lease

#: Only a run that saw another account opens the way.
REBINDABLE = frozenset({Kind.WRONG_ACCOUNT.value, Kind.ACCOUNT_RESET.value})
_LONGEST_SLUG = 50
_CARRIED_OVER = (
    "name", "environment", "max_order_notional", "max_batch_notional", "max_batch_orders", "protection_plan",
    "guard_share_pct",
)  # fmt: skip


def rebind_account(
    *, drift: Drift, typed_number: str, actor: str, reason: str, now: datetime, wait_seconds: float = 10
) -> Account:
    """Archive the books of the drift's account and bind new ones to the account that the run saw; return those.

    Raises ReconciliationError with a sentence when it may not be. The new account's sending is halted until a person
    resumes it. A second call finds the drift resolved and changes nothing.
    """
    if drift.kind not in REBINDABLE or not drift.broker.get("account_id"):
        raise ReconciliationError("Only where a run has seen another account can the books be bound anew.")
    if typed_number.strip() != drift.broker["account_number"]:
        raise ReconciliationError(
            f"Expected {drift.broker['account_number']}, the number of the account that answers; "
            f"found {typed_number.strip() or 'nothing'}."
        )
    if not reason.strip():
        raise ReconciliationError("Say why the books shall begin anew.")
    with account_lease(drift.account, wait_seconds=wait_seconds), transaction.atomic():
        ended = Drift.objects.filter(pk=drift.pk, state=Drift.State.OPEN).update(
            state=Drift.State.RESOLVED, resolved_at=now
        )
        if not ended:
            raise ReconciliationError("This is settled already: look at the account as it is now.")
        old = Account.objects.get(pk=drift.account_id)
        slug = old.slug
        _archive(old, actor, reason, now)
        return _begin(old, slug, drift, actor, reason, now)


def _archive(old: Account, actor: str, reason: str, now: datetime) -> None:
    slug, suffix = old.slug, f"-archived-{now:%Y%m%d-%H%M%S}"
    old.slug, old.is_active = f"{slug[: _LONGEST_SLUG - len(suffix)]}{suffix}", False
    day = f"{now.astimezone(NEW_YORK):%Y-%m-%d %H:%M}"
    old.name = f"{old.name[:70]} (archived {now:%Y-%m-%d})"
    old.notice = f"Archived {day} New York time by {actor}: {reason.strip()}\n{old.notice}".strip()
    old.save(update_fields=["slug", "is_active", "name", "notice"])
    journal.record(
        at=now,
        actor=actor,
        action="account.archived",
        account=old.slug,
        subject_type="account",
        subject_id=old.pk,
        summary=f"The books of {slug}, account {old.broker_account_number}, were archived as {old.slug}.",
        reason=reason.strip(),
        before={"slug": slug, "is_active": True},
        after={"slug": old.slug, "is_active": False},
    )


def _begin(old: Account, slug: str, drift: Drift, actor: str, reason: str, now: datetime) -> Account:
    carried = {name: getattr(old, name) for name in _CARRIED_OVER} | {"name": old.name.split(" (archived ")[0]}
    new = Account.objects.create(
        **carried,
        slug=slug,
        broker_account_id=drift.broker["account_id"],
        broker_account_number=drift.broker["account_number"],
        bound_at=now,
        sending_halted=True,
        halted_at=now,
        halted_by=actor,
        halted_reason="New books were bound: look at them, then resume sending.",
    )
    ensure_default_parameters(new)
    journal.record(
        at=now,
        actor=actor,
        action="account.bound",
        account=slug,
        subject_type="account",
        subject_id=new.pk,
        summary=f"New, empty books of {slug} were bound to account {new.broker_account_number}.",
        reason=reason.strip(),
        before={"account": old.slug, "broker_account_number": old.broker_account_number},
        after={"broker_account_id": new.broker_account_id, "broker_account_number": new.broker_account_number},
    )
    return new
