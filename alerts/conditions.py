"""Judge the facts: what is so now that people should hear of. Facts in, conditions out; no database, no clock.

The same trouble has the same key at every look. `things` are what it is about, one by one: a trouble gets worse when
there are more of them than were told.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.facts import AccountFacts, Beat, Facts, Thing
from alerts.kinds import ALERT_KINDS, RANK, AlertKind
from reconciliation.kinds import Severity
from ui.formatting import in_new_york

UNCONFIRMED_AFTER = timedelta(minutes=1)
INCOMPLETE_RUNS = 3
#: A connection that is lost and made again at once is nobody's trouble.
STREAM_DOWN_AFTER = timedelta(seconds=30)
UNREAD_AFTER = timedelta(minutes=5)
#: The ticker beats every three seconds, whatever the work; a task may keep the workers busy for longer.
TICKER_SILENT_AFTER, TASKS_SILENT_AFTER = timedelta(seconds=60), timedelta(minutes=3)
#: A process that has been silent for a day was taken out of service by somebody.
FORGOTTEN_AFTER = timedelta(days=1)
#: So many of the things are told one by one.
TOLD_ONE_BY_ONE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """`link` is a path on this site. `number` grows where there are no single things to count."""

    key: str
    kind: AlertKind
    severity: Severity
    sentence: str
    link: str
    account: str = ""
    things: frozenset[str] = frozenset()
    number: int = 1


def conditions_of(facts: Facts, *, now: datetime, approval_after: timedelta) -> list[Condition]:
    """Return what is so now, the gravest first."""
    found = [*_workers(facts.beats, now), *_dropped(facts.dropped), *_channels(facts.failing_channels)]
    for account in facts.accounts:
        found += _drifts(account)
        found += _sending(account, now)
        found += _reading(account, now)
        found += _waiting(account, now, approval_after)
    return sorted(found, key=lambda condition: (-RANK[condition.severity], condition.key))


def ending_of(key: str, facts: Facts, *, now: datetime) -> str:
    """Return what is to be said of a trouble that left the conditions without being mended; "" if it is mended."""
    halted = {_key(AlertKind.BATCH, account.slug, "late") for account in facts.accounts if account.halted_since}
    if key in halted:
        return (
            "It is not told any longer, because all sending is halted now. What was not sent waits until a person "
            "resumes it."
        )
    kind, _, host = key.partition(":")
    heard = {beat.host for beat in facts.beats if beat.part == "ticker" and now - beat.at < FORGOTTEN_AFTER}
    if kind == AlertKind.WORKER and host and host not in heard:
        return (
            f"It is not told any longer: the worker on {host} has been silent for a day, so it counts as taken out of "
            "service. Nothing says that it runs again."
        )
    return ""


def _key(kind: AlertKind, *parts: str) -> str:
    return ":".join(part for part in (kind.value, *parts) if part)


def listed(things: Sequence[Thing]) -> str:
    """Name the first few, oldest first, and count the rest."""
    words = [_ended(thing.words) for thing in things[:TOLD_ONE_BY_ONE]]
    left = len(things) - TOLD_ONE_BY_ONE
    return " ".join([*words, f"And {left} more."] if left > 0 else words)


def _ended(words: str) -> str:
    return words if words.endswith((".", "!", "?")) else f"{words}."


def _about(
    kind: AlertKind, things: Iterable[Thing], opening: str, link: str, *, account: AccountFacts | None = None,
    severity: Severity | None = None, suffix: str = "",
) -> Iterator[Condition]:  # fmt: skip
    """One condition about all of the things; none if there are none. `{n}` in the opening is their number."""
    ordered = sorted(things, key=lambda thing: (thing.since, thing.key))
    if not ordered:
        return
    slug = account.slug if account else ""
    grave = severity or ALERT_KINDS[kind].severity or Severity.HIGH
    yield Condition(
        key=_key(kind, slug, suffix),
        kind=kind,
        severity=grave,
        sentence=f"{opening.format(n=len(ordered))} {listed(ordered)}",
        link=link,
        account=slug,
        things=frozenset(thing.key for thing in ordered),
        number=len(ordered),
    )


def _drifts(account: AccountFacts) -> Iterator[Condition]:
    """One for each severity, so that a channel for the gravest hears of nothing else."""
    for severity in sorted(RANK, key=lambda word: -RANK[word]):
        mine = [thing for thing in account.drifts if thing.severity == severity]
        opening = f"Database and Alpaca differ ({severity.value}, {{n}} in all):"
        link = f"/reconciliation/?account={account.slug}"
        yield from _about(
            AlertKind.DRIFT, mine, opening, link, account=account, severity=severity, suffix=severity.value
        )


def _sending(account: AccountFacts, now: datetime) -> Iterator[Condition]:
    unknown = [thing for thing in (*account.unconfirmed, *account.unanswered) if now - thing.since >= UNCONFIRMED_AFTER]
    state = "unconfirmed" if account.unconfirmed else "submitting"
    yield from _about(
        AlertKind.UNCONFIRMED,
        unknown,
        "Sent more than a minute ago, and nobody knows yet if Alpaca has it ({n}). Look-ups go on; send nothing again:",
        f"/orders/?submission_state={state}&account={account.slug}",
        account=account,
    )
    batches = f"/batches/?account={account.slug}"
    yield from _about(
        AlertKind.BATCH, account.halted_batches, "Halted before all was sent ({n}). Look which orders did not leave:",
        batches, account=account, severity=Severity.MEDIUM, suffix="halted",
    )  # fmt: skip
    yield from _about(
        AlertKind.BATCH, account.late_batches, "Orders that are due are not sent ({n}). See that a worker runs:",
        batches, account=account, suffix="late",
    )  # fmt: skip
    if account.halted_since is not None:
        why = f": {account.halted_reason}" if account.halted_reason else ""
        yield _single(
            AlertKind.HALTED,
            f"{account.halted_by or 'Somebody'} halted all sending{why}. No order leaves until a person resumes it.",
            f"/?account={account.slug}",
            account,
            thing=account.halted_since.isoformat(),
        )


def _reading(account: AccountFacts, now: datetime) -> Iterator[Condition]:
    if account.incomplete_runs >= INCOMPLETE_RUNS:
        sentence = (
            f"{account.incomplete_runs} reconciliations in a row could not read everything, so nothing is known of "
            f"new differences. The last one: {_ended(account.incomplete_reason or 'no reason was given')}"
        )
        link = f"/reconciliation/runs/?account={account.slug}"
        yield _single(AlertKind.INCOMPLETE, sentence, link, account, number=account.incomplete_runs)
    if account.unread_since is not None and now - account.unread_since >= UNREAD_AFTER:
        sentence = f"The figures cannot be read from Alpaca: {_ended(account.unread_reason or 'no answer came')}"
        yield _single(AlertKind.SILENT_BROKER, sentence, f"/system/?account={account.slug}", account)
    since = account.stream_since
    if account.stream_word in {"broken", "stale"} and (since is None or now - since >= STREAM_DOWN_AFTER):
        sentence = (
            f"The stream of trade updates is down: {_ended(account.stream_sentence)} Fills are booked by sweeps "
            "meanwhile, some seconds later. See that `manage.py stream` runs."
        )
        yield _single(AlertKind.STREAM, sentence, f"/system/?account={account.slug}", account)


def _waiting(account: AccountFacts, now: datetime, approval_after: timedelta) -> Iterator[Condition]:
    link = f"/reconciliation/?account={account.slug}"
    old = [thing for thing in account.approvals if now - thing.since >= approval_after]
    yield from _about(AlertKind.APPROVAL, old, "A repair waits for a person ({n}):", link, account=account)
    listed_at = f"/positions/?status=open&account={account.slug}"
    opening = "A price went through, and nobody has acknowledged it ({n}):"
    yield from _about(AlertKind.CROSSING, account.crossings, opening, listed_at, account=account)


def _single(
    kind: AlertKind, sentence: str, link: str, account: AccountFacts | None, *, thing: str = "", number: int = 1
) -> Condition:
    return Condition(
        key=_key(kind, account.slug if account else ""),
        kind=kind,
        severity=ALERT_KINDS[kind].severity or Severity.HIGH,
        sentence=sentence,
        link=link,
        account=account.slug if account else "",
        things=frozenset({thing} if thing else ()),
        number=number,
    )


def _workers(beats: Sequence[Beat], now: datetime) -> Iterator[Condition]:
    """No worker at all; one that is silent beside living ones; or living ones that carry out no task."""
    tickers = [beat for beat in beats if beat.part == "ticker"]
    tasks = [beat for beat in beats if beat.part == "worker"]
    if not tickers:
        return  # none has ever run here
    living = [beat for beat in tickers if now - beat.at < TICKER_SILENT_AFTER]
    if not living:
        since = in_new_york(max(beat.at for beat in tickers), today=now.date(), style="full")
        sentence = (
            f"No worker gives a sign of life since {since}. Nothing is sent, looked up, booked or checked. Start one: "
            "`manage.py worker`."
        )
        yield _single(AlertKind.WORKER, sentence, "/system/", None)
        return
    if tasks and now - max(beat.at for beat in tasks) >= TASKS_SILENT_AFTER:
        sentence = "A worker runs, but no task is carried out. Its watchdog replaces it; if this stays, restart it."
        yield _single(AlertKind.WORKER, sentence, "/system/", None)
    for host in sorted({beat.host for beat in tickers} - {beat.host for beat in living}):
        last = max(beat.at for beat in tickers if beat.host == host)
        if now - last < FORGOTTEN_AFTER:
            yield Condition(
                key=_key(AlertKind.WORKER, host),
                kind=AlertKind.WORKER,
                severity=Severity.HIGH,
                sentence=f"The worker on {host} gives no sign of life; others do its work. Start it again there.",
                link="/system/",
            )


def _dropped(dropped: Sequence[Thing]) -> Iterator[Condition]:
    opening = "Workers died over a task until it was given up; what the rows still want is queued anew ({n}):"
    yield from _about(AlertKind.DROPPED, dropped, opening, "/system/")


def _channels(failing: Sequence[Thing]) -> Iterator[Condition]:
    opening = "Messages cannot be delivered ({n}). Test the channel in admin, and look at its address:"
    yield from _about(AlertKind.CHANNEL, failing, opening, "/alerts/")
