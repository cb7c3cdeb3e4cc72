"""Policies: whether a safe copy is applied without asking, or needs two people. The default asks one person.

A policy never widens what a fix may do: it only gives the approval that a person would give, and everything after it
(reading again, writing what was shown, verifying, undoing) is the same.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, time, timedelta
from decimal import Decimal

from broker.models import Account, AccountSnapshot
from broker.times import NEW_YORK
from reconciliation.flapping import OFTEN
from reconciliation.kinds import KINDS, Kind, Severity
from reconciliation.models import BackfillPolicy, Drift, Fix, IgnoreRule
from reconciliation.wipe_out import approved_together_with, touches_open_position, wipe_out

#: The name under which a policy approves. No person can have it: usernames hold no colon.
POLICY_ACTOR = "system:policy"
#: So long what policies applied counts towards the wipe-out guard.
TURNS = timedelta(hours=1)
Mode = BackfillPolicy.Mode


class PolicyBook:
    """The policies of one account, read once. A kind's own policy goes before that of every kind."""

    def __init__(self, account: Account) -> None:
        self._by_kind = {policy.kind: policy for policy in BackfillPolicy.objects.filter(account=account)}

    def of(self, kind: str) -> BackfillPolicy | None:
        return self._by_kind.get(kind) or self._by_kind.get("")

    def barred(self, fixes: Iterable[Fix], *, now: datetime, closes_at: datetime | None) -> dict[int, str]:
        """Return by id the fixes that the policies let nobody apply now, with the reason; people may override it."""
        found = {}
        for fix in fixes:
            policy = self.of(kind_of(fix))
            if policy is not None and (why := why_barred(policy, now=now, closes_at=closes_at)):
                found[fix.pk] = why
        return found

    def needs_two_people(self, fix: Fix) -> bool:
        """Who was asked for a second person stays asked for one, whatever becomes of the policy."""
        policy = self.of(kind_of(fix))
        return bool(fix.requested_by) or (policy is not None and policy.mode == Mode.TWO_PEOPLE)


def kind_of(fix: Fix) -> str:
    """The kind of the cause that a fix repairs: keys begin with it."""
    return fix.key.split(":", 1)[0]


def why_barred(policy: BackfillPolicy, *, now: datetime, closes_at: datetime | None) -> str:
    """Say why the policy lets nothing be applied at this moment, or nothing."""
    begins, ends = policy.window_from, policy.window_until
    wall = now.astimezone(NEW_YORK).time()
    if not _is_within(wall, begins, ends):
        spelled = f"{begins:%H:%M}" if begins else "00:00", f"{ends:%H:%M}" if ends else "24:00"
        return f"By its policy this is applied from {spelled[0]} to {spelled[1]} New York time only."
    minutes = policy.not_before_close_minutes
    if minutes and closes_at is not None and timedelta(0) <= closes_at - now < timedelta(minutes=minutes):
        close = f"{closes_at.astimezone(NEW_YORK):%H:%M}"
        return f"By its policy nothing is applied in the last {minutes} minutes before the close at {close}."
    return ""


def _is_within(wall: time, begins: time | None, ends: time | None) -> bool:
    """A window may reach over midnight."""
    if begins is not None and ends is not None and begins > ends:
        return wall >= begins or wall < ends
    return (begins is None or wall >= begins) and (ends is None or wall < ends)


def session_end(account: Account, now: datetime) -> datetime | None:
    """The end of the session that was open when Alpaca's clock was read last; None if that is not known."""
    read = AccountSnapshot.objects.filter(account=account, market_is_open=True, next_close__gt=now)
    return read.order_by("-read_at").values_list("next_close", flat=True).first()


def covers(policy: BackfillPolicy, *, kind: str, is_safe_copy: bool, dollars: Decimal | None) -> bool:
    """Whether the policy lets this fix be applied without asking. A limit refuses what has no known size."""
    if policy.mode != Mode.AUTOMATIC or not is_safe_copy or not KINDS[Kind(kind)].is_safe_copy:
        return False
    limit: Decimal | None = policy.max_dollars
    return limit is None or (dollars is not None and abs(dollars) <= limit)


def automatic_fixes(
    account: Account, policies: Iterable[BackfillPolicy], *, now: datetime, closes_at: datetime | None = None
) -> list[Fix]:
    """Return the proposed fixes that these policies would apply at once: also the preview of a change to them.

    `closes_at`: the end of the session that is open, by Alpaca's clock. What flaps waits for a person, and so does
    everything that would together go beyond the wipe-out guard.
    """
    book = {policy.kind: policy for policy in policies}
    if not any(policy.mode == Mode.AUTOMATIC for policy in book.values()):
        return []
    steady = Drift.objects.filter(account=account, flaps__lt=OFTEN).open().roots()
    dollars = dict(steady.values_list("key", "dollars"))
    proposed = Fix.objects.filter(account=account, key__in=dollars, requested_by="", acts_at_broker=False).proposed()
    found = []
    for fix in proposed.order_by("pk"):
        policy = book.get(kind_of(fix)) or book.get("")
        if policy is None or why_barred(policy, now=now, closes_at=closes_at):
            continue
        if covers(policy, kind=kind_of(fix), is_safe_copy=fix.is_safe_copy, dollars=dollars[fix.key]):
            found.append(fix)
    found = _within_limits(account, _without_setbacks(account, found), book, dollars)
    if wipe_out(account, [*approved_together_with(account, found), *_lately(account, now)]):
        return [fix for fix in found if not touches_open_position(fix)]
    return found


def _lately(account: Account, now: datetime) -> list[Fix]:
    """What policies applied within the last hour: run after run must not do what one run may not."""
    done = Fix.objects.filter(account=account, approved_by=POLICY_ACTOR, applied_at__gt=now - TURNS)
    return list(done.exclude(state=Fix.State.UNDONE))


def _within_limits(
    account: Account, fixes: list[Fix], book: Mapping[str, BackfillPolicy], dollars: Mapping[str, Decimal | None]
) -> list[Fix]:
    """A limit counts for the sum of what one run proposed, so that many small ones are not let through by turns."""
    spent: dict[tuple[int, str], Decimal] = defaultdict(Decimal)
    runs = {fix.run_id for fix in fixes}
    for row in Drift.objects.filter(fix__run__in=runs, fix__approved_by=POLICY_ACTOR).roots().select_related("fix"):
        if row.fix is not None:
            policy = book.get(row.kind) or book.get("")
            spent[row.fix.run_id, policy.kind if policy else ""] += abs(row.dollars or Decimal(0))
    kept = []
    for fix in fixes:
        policy = book.get(kind_of(fix)) or book[""]
        limit: Decimal | None = policy.max_dollars
        sum_of_run = spent[fix.run_id, policy.kind] + abs(dollars[fix.key] or Decimal(0))
        if limit is None or sum_of_run <= limit:
            spent[fix.run_id, policy.kind] = sum_of_run
            kept.append(fix)
    return kept


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
