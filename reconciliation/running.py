"""One reconciliation, from the lease to the verdict."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from broker.errors import BrokerError
from broker.gateway import Gateway, open_gateway
from broker.models import Account
from broker.types import BrokerAccount
from reconciliation.bad_evidence import store_evidence_drift
from reconciliation.binding import check_account
from reconciliation.cash_comparison import unjudged_cash
from reconciliation.cash_record import add_up_to_open, open_cash_books
from reconciliation.comparison import compare, older_than_booked
from reconciliation.difference import Explained
from reconciliation.errors import AccountReset, IncompleteRead, RunInProgress, WrongAccount
from reconciliation.evidence import BrokerEvidence, LocalRecord
from reconciliation.evidence_comparison import impossible_flat
from reconciliation.explanation import POSITION_KINDS, explain
from reconciliation.ignoring import reopen_expired
from reconciliation.importing import import_history, needs_import
from reconciliation.kinds import KINDS, Kind
from reconciliation.models import Drift, ReadingCursor, Run
from reconciliation.picture import snapshot_of
from reconciliation.planning import plan
from reconciliation.position_comparison import symbols_in_flight
from reconciliation.progress import ProgressNote
from reconciliation.reading import Reader
from reconciliation.reading_plan import plan_reading, window_of
from reconciliation.recorded import load_record
from reconciliation.second_look import look_again
from reconciliation.snapshots import keep_snapshot
from reconciliation.storing import Scope, earliest_hold, store_findings
from reconciliation.stream_gap import close_gap, note_gap
from work import correlation, leases

logger = logging.getLogger(__name__)

LEASE_SECONDS = 60.0
#: What has its explanation perhaps before the window.
RIDDLES = POSITION_KINDS | {Kind.FILL_SUM_MISMATCH, Kind.CLOSED_WITHOUT_EXIT, Kind.CASH}
#: Two readings must agree before anything is judged; after this many the account is simply too busy.
MOST_READINGS = 4


@dataclass(slots=True)
class Judgement:
    """What two agreeing readings show."""

    evidence: BrokerEvidence
    record: LocalRecord
    explained: list[Explained]
    cursor_was: tuple[datetime | None, datetime | None]


def request_run(*, account: Account, trigger: str, requested_by: str, now: datetime, is_full: bool = False) -> Run:
    """Record the wish for a run; the worker finds it in the row and makes it."""
    return Run.objects.create(
        account=account,
        trigger=trigger,
        requested_by=requested_by,
        requested_at=now,
        is_full=is_full,
        correlation_id=correlation.current_or_new(),
    )


def run_reconciliation(
    *, account: Account, trigger: str, requested_by: str, is_full: bool = False, wait_seconds: float = 120
) -> Run:
    """Request a run and make it here and now. Raises RunInProgress when another process keeps the account."""
    run = request_run(account=account, trigger=trigger, requested_by=requested_by, now=timezone.now(), is_full=is_full)
    with account_lease(account, wait_seconds=wait_seconds):
        return make_run(run=run)


@contextmanager
def account_lease(account: Account, *, wait_seconds: float) -> Iterator[None]:
    """Hold the account: one process at a time reads, judges and applies."""
    name = lease_name(account)
    deadline = time.monotonic() + wait_seconds
    while not leases.take(name, seconds=LEASE_SECONDS, now=timezone.now()):
        if time.monotonic() > deadline:
            raise RunInProgress(f"Another process is reconciling account {account.slug} now. Try again in a minute.")
        time.sleep(0.2)
    try:
        yield
    finally:
        leases.give_back(name)


def keeps_lease(account: Account) -> bool:
    """Hold on to the account; False when another process has taken it over, and then the work must stop."""
    return leases.renew(lease_name(account), seconds=LEASE_SECONDS, now=timezone.now())


def _keep_lease(account: Account) -> None:
    if not keeps_lease(account):
        raise IncompleteRead(f"Another process took over account {account.slug} while it was being judged.")


def lease_name(account: Account) -> str:
    return f"account:{account.slug}"


def make_run(*, run: Run) -> Run:
    """Make a requested run; the account's lease is held by the caller. Never raises for what Alpaca does."""
    with correlation.carrying(run.correlation_id):
        return _make(run)


def _make(run: Run) -> Run:
    account = run.account
    Run.objects.filter(pk=run.pk).update(state=Run.State.RUNNING, started_at=timezone.now())
    run.refresh_from_db()
    gateway: Gateway | None = None
    try:
        _keep_lease(account)
        gateway = open_gateway(account)
        judgement = _judge(run, gateway)
        _keep_lease(account)
        _finish_complete(run, judgement, calls=gateway.calls)
    except (IncompleteRead, BrokerError) as error:
        _finish_incomplete(run, error, calls=gateway.calls if gateway else 0)
    except Exception as error:
        # A fault of this program must not look like a run that never ends, and proves as little as a failed read.
        logger.exception("run %s of %s failed", run.pk, account.slug)
        reason = IncompleteRead(f"This program failed while judging ({type(error).__name__}); nothing was changed.")
        _finish_incomplete(run, reason, calls=gateway.calls if gateway else 0)
    logger.info("run %s of %s ended %s after %s calls", run.pk, account.slug, run.state, run.api_calls)
    return run


# --- Reading until two readings agree -------------------------------------------------------------------------


def _judge(run: Run, gateway: Gateway) -> Judgement:
    note = ProgressNote(run=run, lease=lease_name(run.account), lease_seconds=LEASE_SECONDS)
    cursor, _ = ReadingCursor.objects.get_or_create(account=run.account)
    if needs_import(run.account, cursor):
        check_account(account=run.account, gateway=gateway, found=gateway.get_account(), now=timezone.now())
        import_history(account=run.account, gateway=gateway, cursor=cursor, note=note)
    reopen_expired(account=run.account, now=timezone.now())
    judgement = _look(run, gateway, cursor, note)
    for _reading in range(MOST_READINGS - 1):
        if not judgement.explained:
            return judgement
        time.sleep(settings.QUIET_PERIOD_SECONDS)
        if _is_new_riddle(run, judgement):
            # Perhaps the explanation is older than the window: read everything once before calling it unexplained.
            run.is_full = True
        again = _look(run, gateway, cursor, note, adds_up_anew=_misses_money(judgement))
        if _essence(judgement) == _essence(again):
            return again
        judgement = again
    raise IncompleteRead(
        f"The account was still moving after {MOST_READINGS} readings, no two of which agree. "
        "Try again when it is quiet."
    )


def _misses_money(judgement: Judgement) -> bool:
    """The subtotal of what the fills paid may be at fault: it is not believed where money seems to be missing."""
    return any(explained.difference.kind == Kind.CASH for explained in judgement.explained)


def _look(
    run: Run, gateway: Gateway, cursor: ReadingCursor, note: ProgressNote, *, adds_up_anew: bool = False
) -> Judgement:
    cursor.refresh_from_db()
    hold = None if run.is_full else earliest_hold(run.account)
    window = window_of(
        account=run.account,
        orders_read_to=None if run.is_full else cursor.orders_read_to,
        activities_read_to=None if run.is_full else cursor.activities_read_to,
        hold=hold,
        is_deep=run.trigger == Run.Trigger.CLOSE,
    )
    reading = plan_reading(account=run.account, window=window)
    reader = Reader(gateway=gateway, plan=reading, note=note, check_account=partial(_check_bound, run.account, gateway))
    try:
        evidence = reader.read()
    finally:
        # Also of a reading that breaks off: an incomplete run says how far it came.
        run.completeness = {"readings": [*run.completeness.get("readings", []), reader.so_far()]}
    check_account(
        account=run.account, gateway=gateway, found=evidence.account, now=timezone.now(), seen=evidence.orders
    )
    adds_up_anew = adds_up_anew or run.is_full or run.trigger == Run.Trigger.CLOSE
    record = load_record(account=run.account, evidence=evidence, adds_up_anew=adds_up_anew)
    if stale := older_than_booked(record, evidence):
        raise IncompleteRead(
            f"Alpaca shows order {stale} as it was before what it has said already: it answers from old data. "
            "Try again in a minute."
        )
    if contradiction := impossible_flat(record, evidence):
        raise IncompleteRead(contradiction)
    evidence = look_again(gateway, record, evidence)
    explained = explain(compare(record, evidence), record, evidence)
    return Judgement(evidence, record, explained, (cursor.orders_read_to, cursor.activities_read_to))


def _check_bound(account: Account, gateway: Gateway, found: BrokerAccount) -> None:
    """Before anything is read of it; books that are not bound yet are judged by what was read."""
    if account.is_bound:
        check_account(account=account, gateway=gateway, found=found, now=timezone.now())


def _is_new_riddle(run: Run, judgement: Judgement) -> bool:
    """A difference that nothing in the window explains, and that no earlier run has shown."""
    roots = {e.difference.key for e in judgement.explained if e.cause_key is None and e.difference.kind in RIDDLES}
    if run.is_full or not roots:
        return False
    known = Drift.objects.filter(account=run.account, key__in=roots, state__in=[Drift.State.OPEN, Drift.State.IGNORED])
    return known.roots().count() < len(roots)


def _essence(judgement: Judgement) -> list[tuple[object, str | None]]:
    """What two readings must show alike. How far the clocks differ, and since when nothing is heard, may move."""
    return [
        (e.difference.key if KINDS[e.difference.kind].group == "evidence" else e.difference, e.cause_key)
        for e in judgement.explained
    ]


def _refuse_if_moving(judgement: Judgement) -> None:
    """Positions of symbols with an order between states are not judged; 'in sync' would then claim too much."""
    moving = symbols_in_flight(judgement.record, judgement.evidence)
    for symbol in sorted(moving):
        ours, theirs = judgement.record.positions.get(symbol), judgement.evidence.positions.get(symbol)
        if (ours.qty if ours else 0) != (theirs.qty if theirs else 0):
            raise IncompleteRead(f"An order in {symbol} is on its way, so its position cannot be judged yet.")


# --- The verdict ----------------------------------------------------------------------------------------------


def _finish_complete(run: Run, judgement: Judgement, *, calls: int) -> None:
    now, clock = timezone.now(), judgement.evidence.clock
    proposals = plan(judgement.explained, judgement.record, judgement.evidence)
    picture = snapshot_of(judgement.evidence, judgement.record)  # before the write lock is taken: it may be large
    add_up_to_open(run.account, judgement.record)
    _keep_lease(run.account)  # very many differences take their time to plan
    with transaction.atomic():
        drifts = store_findings(
            run=run,
            explained=judgement.explained,
            proposals=proposals,
            scope=_scope_of(judgement),
            now=now,
            closes_at=clock.next_close if clock.is_open else None,
        )
        is_open = any(drift.state == Drift.State.OPEN for drift in drifts)
        if not is_open:
            _refuse_if_moving(judgement)
        if not drifts:
            open_cash_books(account=run.account, record=judgement.record, evidence=judgement.evidence, now=now)
        run.state = Run.State.DRIFT if is_open else Run.State.IN_SYNC
        run.completeness = {**judgement.evidence.counts, **run.completeness}
        _save_end(run, now, calls)
        keep_snapshot(run=run, picture=picture)
        close_gap(run=run, stream=judgement.record.stream, evidence=judgement.evidence, now=now)
        _advance_cursor(run.account, judgement)


def _scope_of(judgement: Judgement) -> Scope:
    evidence = judgement.evidence
    moving = symbols_in_flight(judgement.record, evidence)
    starts = [start for start in (evidence.orders_after, evidence.activities_after) if start is not None]
    return Scope(
        since=max(starts, default=None),
        moving=moving,
        unjudged=frozenset(f"{kind}:{symbol}" for kind in POSITION_KINDS for symbol in moving)
        | unjudged_cash(judgement.record, evidence),
    )


def _finish_incomplete(run: Run, error: Exception, *, calls: int) -> None:
    now = timezone.now()
    kind, seen = Kind.INCOMPLETE_READ, {}
    if isinstance(error, WrongAccount):
        kind, seen = Kind.ACCOUNT_RESET if isinstance(error, AccountReset) else Kind.WRONG_ACCOUNT, error.seen
    with transaction.atomic():
        store_evidence_drift(run=run, kind=kind, sentence=str(error), now=now, seen=seen)
        note_gap(run=run, now=now)
        run.state = Run.State.INCOMPLETE
        run.incomplete_reason = str(error)
        _save_end(run, now, calls)


def _save_end(run: Run, now: datetime, calls: int) -> None:
    run.finished_at = now
    run.api_calls = calls
    run.save(update_fields=["state", "finished_at", "api_calls", "incomplete_reason", "completeness", "is_full"])


def _advance_cursor(account: Account, judgement: Judgement) -> None:
    """Unless somebody moved it since it was read: what was undone meanwhile must be read again."""
    hold = earliest_hold(account)
    moment = judgement.evidence.read_started_at
    if hold is not None:
        moment = min(moment, hold)
    orders_read_to, activities_read_to = judgement.cursor_was
    as_it_was = ReadingCursor.objects.filter(
        account=account, orders_read_to=orders_read_to, activities_read_to=activities_read_to
    )
    as_it_was.update(orders_read_to=moment, activities_read_to=moment)
