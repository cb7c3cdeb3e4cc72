"""Policies: whether a safe copy is applied without asking, or needs two people. The default asks one person.

A policy never widens what a fix may do: it only gives the approval that a person would give, and everything after it
(reading again, writing what was shown, verifying, undoing) is the same.
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from broker.models import Account
from reconciliation.kinds import KINDS, Kind, Severity
from reconciliation.models import BackfillPolicy, Drift, Fix, IgnoreRule

#: The name under which a policy approves. No person can have it: usernames hold no colon.
POLICY_ACTOR = "system:policy"
Mode = BackfillPolicy.Mode


class PolicyBook:
    """The policies of one account, read once. A kind's own policy goes before that of every kind."""

    def __init__(self, account: Account) -> None:
        self._by_kind = {policy.kind: policy for policy in BackfillPolicy.objects.filter(account=account)}

    def of(self, kind: str) -> BackfillPolicy | None:
        return self._by_kind.get(kind) or self._by_kind.get("")

    def needs_two_people(self, fix: Fix) -> bool:
        """Who was asked for a second person stays asked for one, whatever becomes of the policy."""
        policy = self.of(kind_of(fix))
        return bool(fix.requested_by) or (policy is not None and policy.mode == Mode.TWO_PEOPLE)


def kind_of(fix: Fix) -> str:
    """The kind of the cause that a fix repairs: keys begin with it."""
    return fix.key.split(":", 1)[0]


def covers(policy: BackfillPolicy, *, kind: str, is_safe_copy: bool, dollars: Decimal | None) -> bool:
    """Whether the policy lets this fix be applied without asking. A limit refuses what has no known size."""
    if policy.mode != Mode.AUTOMATIC or not is_safe_copy or not KINDS[Kind(kind)].is_safe_copy:
        return False
    limit: Decimal | None = policy.max_dollars
    return limit is None or (dollars is not None and abs(dollars) <= limit)


def automatic_fixes(account: Account, policies: Iterable[BackfillPolicy]) -> list[Fix]:
    """Return the proposed fixes that these policies would apply at once: also the preview of a change to them."""
    book = {policy.kind: policy for policy in policies}
    if not any(policy.mode == Mode.AUTOMATIC for policy in book.values()):
        return []
    dollars = dict(Drift.objects.filter(account=account).open().roots().values_list("key", "dollars"))
    found = []
    for fix in Fix.objects.filter(account=account, key__in=dollars, requested_by="").proposed():
        policy = book.get(kind_of(fix)) or book.get("")
        if policy and covers(policy, kind=kind_of(fix), is_safe_copy=fix.is_safe_copy, dollars=dollars[fix.key]):
            found.append(fix)
    return _without_setbacks(account, found)


def _without_setbacks(account: Account, fixes: list[Fix]) -> list[Fix]:
    """What a person undid must not come back by itself, and what failed once must not be tried for ever."""
    ended = Fix.objects.filter(account=account, state__in=[Fix.State.FAILED, Fix.State.UNDONE])
    setbacks = set(ended.filter(key__in=[fix.key for fix in fixes]).values_list("key", flat=True))
    return [fix for fix in fixes if fix.key not in setbacks]


# --- Ignore rules -----------------------------------------------------------------------------------------------


class RuleBook:
    """The ignore rules of one account that hold now, read once."""

    def __init__(self, account: Account, now: datetime) -> None:
        self._rules = list(IgnoreRule.objects.filter(account=account, expires_at__gt=now))

    def rule_for(self, *, kind: str, symbol: str, severities: Iterable[str]) -> IgnoreRule | None:
        """Return the rule that hides this cause. It is as grave as what follows from it; nothing critical is hidden.

        A rule for the symbol goes before one for every symbol.
        """
        if Severity.CRITICAL in severities or not may_be_ignored(kind):
            return None
        fitting = [rule for rule in self._rules if rule.kind == kind and rule.symbol in {"", symbol}]
        return max(fitting, key=lambda rule: (rule.symbol != "", rule.expires_at), default=None)


def may_be_ignored(kind: str) -> bool:
    """Bad evidence and what is critical by its kind is never hidden by a rule."""
    facts = KINDS[Kind(kind)]
    return facts.group != "evidence" and facts.severity != Severity.CRITICAL


def hidden_by(rule: IgnoreRule) -> list[Drift]:
    """Return the open causes that the rule would hide: the preview of a new one."""
    causes = Drift.objects.filter(account=rule.account, kind=rule.kind).open().roots().prefetch_related("consequences")
    if rule.symbol:
        causes = causes.filter(symbol=rule.symbol)
    if not may_be_ignored(rule.kind):
        return []
    return [
        cause
        for cause in causes
        if Severity.CRITICAL not in {cause.severity, *(c.severity for c in cause.consequences.all())}
    ]
