"""Undo a backfill: put back exactly what it changed, if nothing was built on it meanwhile."""

from datetime import datetime

from django.db import transaction
from django.db.models import Q

from audit import journal
from positions.rebuilding import rebuild_positions
from reconciliation.corporate_operations import symbols_of
from reconciliation.errors import FixRefused
from reconciliation.exitless_rows import put_back_exitless
from reconciliation.followed_levels import follow_again, followed_levels
from reconciliation.models import Drift, Fix, ReadingCursor
from reconciliation.operations import check_reversible, restore_closed, reverse
from reconciliation.opposites import opposite_in_words
from reconciliation.order_repairs import hold_orders
from reconciliation.policies import PolicyBook
from reconciliation.storing import HELD_BACK

UNDOABLE = (Fix.State.APPLIED, Fix.State.VERIFIED, Fix.State.FAILED)


def undo_fix(*, fix: Fix, actor: str, now: datetime, reason: str = "") -> Fix:
    """Reverse the fix in one transaction with its audit entry. Raises FixRefused with the reason if it cannot be.

    Undoing twice, or by two people at once: one of them undoes, the other is told. Where a policy asks for two people
    the first one's undoing is a request: `fix.undo_requested_by` then says whose, and only another person's undoes it.
    """
    if fix.acts_at_broker:
        raise FixRefused(f"Fix {fix.pk} acted at Alpaca. {opposite_in_words(fix)}")
    if fix.state not in UNDOABLE or fix.undo_plan is None:
        raise FixRefused(f"Fix {fix.pk} is {fix.get_state_display().lower()}: there is nothing of it to undo.")
    with transaction.atomic():
        hold_orders(fix.undo_plan)
        applied_at = fix.applied_at or now
        check_reversible(fix.undo_plan, account=fix.account, symbol=fix.symbol, applied_at=applied_at)
        if not _claim(fix, actor, now, reason):
            fix.refresh_from_db()
            return fix
        symbols = symbols_of(fix)
        present = followed_levels(fix.account, symbols)
        reverse(fix.undo_plan, account=fix.account)
        rebuild_positions(account=fix.account, symbols=symbols, now=now)
        if follow_again(fix.undo_plan, account=fix.account, present=present):
            rebuild_positions(account=fix.account, symbols=symbols, now=now)
        restore_closed(fix.undo_plan, account=fix.account)
        put_back_exitless(fix.undo_plan, account=fix.account)
        _read_again_from(fix)
        journal.record(
            at=now,
            actor=actor,
            action="fix.undone",
            account=fix.account.slug,
            subject_type="fix",
            subject_id=fix.pk,
            summary=f"Undone: {fix.title}",
            reason=reason,
            before=fix.after,
            after=fix.before,
        )
    fix.refresh_from_db()
    return fix


def _claim(fix: Fix, actor: str, now: datetime, reason: str) -> bool:
    """Return whether it is undone by this call; False where it only asks another person to. The rows decide."""
    mine = Fix.objects.filter(pk=fix.pk, state=fix.state)
    needs_two = PolicyBook(fix.account).needs_two_people(fix)
    if needs_two and mine.filter(undo_requested_by="").update(undo_requested_by=actor, undo_requested_at=now):
        journal.record(
            at=now,
            actor=actor,
            action="fix.undo_requested",
            account=fix.account.slug,
            subject_type="fix",
            subject_id=fix.pk,
            summary=f"Undoing requested, another person must confirm: {fix.title}",
            reason=reason,
        )
        return False
    # The database refuses it, too, if both are one.
    undone = mine.exclude(undo_requested_by=actor)
    if undone.update(state=Fix.State.UNDONE, undone_at=now, undone_by=actor):
        return True
    if mine.filter(undo_requested_by=actor).exists():
        raise FixRefused(f"You asked for fix {fix.pk} to be undone: another person must confirm it.")
    raise FixRefused(f"Fix {fix.pk} was changed by somebody else just now. Look at it again.")


def _read_again_from(fix: Fix) -> None:
    """The cursor went past the order while it was recorded: put it back, so that the next run sees it again."""
    mine = Drift.objects.filter(Q(fix=fix) | Q(cause__fix=fix), holds_cursor_at__isnull=False)
    earliest = mine.order_by("holds_cursor_at").values_list("holds_cursor_at", flat=True).first()
    if earliest is not None:
        moment = earliest - HELD_BACK
        cursor = ReadingCursor.objects.filter(account=fix.account)
        cursor.filter(orders_read_to__gt=moment).update(orders_read_to=moment)
        cursor.filter(activities_read_to__gt=moment).update(activities_read_to=moment)
