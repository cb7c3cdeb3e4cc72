"""Read the rows that the conditions are judged by. A handful of queries for each account; nothing is written."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q

from alerts.facts import AccountFacts, Beat, Facts, Thing
from alerts.models import Channel, Delivery
from broker.models import Account, StreamState
from broker.stream_state import health_of
from orders.models import Batch, Order
from orders.querysets import SEND_WITHIN
from positions.crossing import in_words, open_crossings
from reconciliation.models import Drift, Fix, Run
from ui.formatting import qty
from work.models import DroppedDelivery, Heartbeat

#: An event is told for so long after it happened.
EVENT_LASTS = timedelta(hours=12)
#: A batch whose time has come is released within a second where a worker runs.
LATE_AFTER = timedelta(minutes=2)
#: A released batch is sent in seconds; Alpaca's limit of requests may stretch a large one.
SENDING_LATE_AFTER = timedelta(minutes=10)
#: A message is tried for less than that, so that no older one was tried later.
TRIED_FOR = timedelta(hours=26)
_NEWEST_RUNS = 50


def look(now: datetime) -> Facts:
    streams = {state.account_id: state for state in StreamState.objects.all()}
    accounts = Account.objects.active().order_by("slug")
    return Facts(
        accounts=tuple(_facts_of(account, streams.get(account.pk), now) for account in accounts),
        beats=tuple(Beat(beat.name.partition(":")[0], _host(beat.holder), beat.at) for beat in _beats()),
        dropped=tuple(_dropped(now)),
        failing_channels=tuple(_failing_channels(now)),
    )


def _beats() -> "Iterable[Heartbeat]":
    return Heartbeat.objects.filter(Q(name__startswith="ticker") | Q(name__startswith="worker"))


def _host(holder: str) -> str:
    """The holder of a heartbeat is `host:pid:start`."""
    return holder.rsplit(":", 2)[0]


def _facts_of(account: Account, stream: StreamState | None, now: datetime) -> AccountFacts:
    health = health_of(stream, now)
    runs, reason = _incomplete_runs(account)
    orders = Order.objects.filter(account=account).defer("raw")
    return AccountFacts(
        slug=account.slug,
        name=account.name,
        drifts=tuple(_drifts(account)),
        unconfirmed=tuple(_unknown(orders.unconfirmed())),
        unanswered=tuple(_unknown(orders.submitting())),
        incomplete_runs=runs,
        incomplete_reason=reason,
        unread_since=account.unread_since,
        unread_reason=account.unread_reason,
        halted_since=(account.halted_at or now) if account.sending_halted else None,
        halted_by=account.halted_by,
        halted_reason=account.halted_reason,
        stream_word=health.word,
        stream_sentence=health.sentence,
        stream_since=health.since,
        approvals=tuple(_approvals(account)),
        crossings=tuple(_crossings(account)),
        halted_batches=tuple(_halted_batches(account, now)),
        late_batches=tuple(_late_batches(account, now)),
    )


def _drifts(account: Account) -> Iterable[Thing]:
    roots = Drift.objects.filter(account=account).open().roots()
    for pk, sentence, since, severity in roots.values_list("pk", "sentence", "first_seen_at", "severity"):
        yield Thing(f"drift {pk}", sentence, since, severity)


def _unknown(orders: "Iterable[Order]") -> Iterable[Thing]:
    """From when each was sent: who takes one up whose sender died begins to doubt it only then."""
    for order in orders:
        words = f"{order.side} {qty(order.qty)} {order.symbol}, order {order.pk}"
        yield Thing(f"order {order.pk}", words, order.claimed_at or order.unconfirmed_at or order.recorded_at)


def _incomplete_runs(account: Account) -> tuple[int, str]:
    """How many of the newest finished runs in a row are incomplete, and why the newest is."""
    finished = Run.objects.filter(account=account).finished().order_by("-pk")
    rows = finished.values_list("state", "incomplete_reason")[:_NEWEST_RUNS]
    number, reason = 0, ""
    for state, why in rows:
        if state != Run.State.INCOMPLETE:
            break
        number += 1
        reason = reason or why
    return number, reason


def _approvals(account: Account) -> Iterable[Thing]:
    for fix in Fix.objects.filter(account=account).proposed().only("title", "proposed_at", "requested_at", "state"):
        if fix.requested_at is not None:
            yield Thing(f"fix {fix.pk} second", f"{fix.title} (a second person is needed)", fix.requested_at)
        else:
            yield Thing(f"fix {fix.pk}", fix.title, fix.proposed_at)


def _crossings(account: Account) -> Iterable[Thing]:
    for row in open_crossings(account):
        yield Thing(f"crossing {row.pk} {row.crossed_at.isoformat()}", in_words(row), row.crossed_at)


def _halted_batches(account: Account, now: datetime) -> Iterable[Thing]:
    halted = Batch.objects.filter(account=account, state=Batch.State.HALTED, finished_at__gt=now - EVENT_LASTS)
    for batch in halted:
        yield Thing(f"batch {batch.pk}", batch.name, batch.finished_at or batch.created_at)


def _late_batches(account: Account, now: datetime) -> Iterable[Thing]:
    mine = Batch.objects.filter(account=account)
    for batch in mine.filter(state=Batch.State.SCHEDULED, scheduled_for__lte=now - LATE_AFTER):
        yield Thing(f"batch {batch.pk}", f"{batch.name} was due", batch.scheduled_for or now)
    if account.sending_halted:
        return  # that is what people are told then
    waiting = mine.sending(now).filter(released_at__lte=now - SENDING_LATE_AFTER, released_at__gt=now - SEND_WITHIN)
    for batch in waiting:
        yield Thing(f"batch {batch.pk}", f"{batch.name} is not sent to its end", batch.released_at or now)


def _dropped(now: datetime) -> Iterable[Thing]:
    for row in DroppedDelivery.objects.filter(at__gt=now - EVENT_LASTS):
        yield Thing(f"dropped {row.pk}", row.name, row.at)


def _failing_channels(now: datetime) -> Iterable[Thing]:
    """Those of which the newest try that came to an end failed. Silence proves nothing: it stays so until one goes."""
    for channel in Channel.objects.filter(is_on=True, name__in=settings.ALERT_CHANNELS):
        tried = Delivery.objects.filter(channel=channel, attempts__gt=0).exclude(outcome="")
        lately = tried.filter(created_at__gt=now - TRIED_FOR).order_by("-claimed_at")
        last = lately.first() or tried.order_by("-created_at").first()
        if last is not None and last.state in {Delivery.State.FAILED, Delivery.State.WAITING}:
            yield Thing(channel.thing_key, f"{channel.name}: {last.outcome}", last.created_at)
