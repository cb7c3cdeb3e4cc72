"""Remainders too small to be sold are hidden from the first sighting on, by a rule that a person may end."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from audit import journal
from broker.models import Account
from reconciliation.difference import Explained
from reconciliation.kinds import Kind
from reconciliation.models import IgnoreRule

OWNER = "system:default"
#: After that somebody is to look at what has gathered.
LASTS = timedelta(days=365)
_REASON = "Too small to be sold by itself. End this rule to see such remainders among the differences."


def hide_dust(*, account: Account, explained: Iterable[Explained], now: datetime) -> None:
    """Make the account's rule when its first remainder is seen; one that was made and ended is not made again."""
    if not any(item.difference.kind == Kind.POSITION_DUST for item in explained):
        return
    if IgnoreRule.objects.filter(account=account, kind=Kind.POSITION_DUST).exists():
        return
    rule = IgnoreRule.objects.create(
        account=account,
        kind=Kind.POSITION_DUST.value,
        reason=_REASON,
        owner=OWNER,
        created_at=now,
        expires_at=now + LASTS,
    )
    journal.record(
        at=now,
        actor=OWNER,
        action="ignore_rule.added",
        account=account.slug,
        subject_type="ignore_rule",
        subject_id=rule.pk,
        summary=f"Remainders are hidden until {rule.expires_at:%Y-%m-%d}",
        reason=_REASON,
    )
