"""Bring the alerts in step with the conditions, and write down who is to be told what.

An alert and the messages about it are written in one transaction: nothing is told that is not recorded, and nothing
that is to be told can be forgotten. Messages leave later, from their rows.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction

from alerts import wording
from alerts.conditions import Condition
from alerts.kinds import ALERT_KINDS, AlertKind
from alerts.models import Alert, Channel, Delivery
from alerts.telling import Purpose, purpose_of
from alerts.wording import Message
from broker.models import Account
from reconciliation.kinds import Severity

#: The row of an alert that stays as it is is written this often.
SEEN_EVERY = timedelta(seconds=20)
#: So long after it was last seen a trouble counts as over: what comes and goes is one trouble.
OVER_AFTER = timedelta(seconds=45)
WINDOW = timedelta(hours=1)
#: What was told and is over is remembered too, since it may come back, but not without end.
MOST_KEPT = 1000


def note(conditions: Sequence[Condition], *, now: datetime, ending: Callable[[str], str] = lambda key: "") -> None:
    """Open, change and close alerts. Each in a transaction of its own; another process may do the same meanwhile.

    `ending` is asked by key what to say of a trouble that is gone from the conditions; "" if it is mended.
    """
    channels = list(Channel.objects.filter(is_on=True, name__in=settings.ALERT_CHANNELS))
    known = {alert.key: alert for alert in Alert.objects.filter(state=Alert.State.OPEN)}
    accounts = {account.slug: account for account in Account.objects.all()} if conditions else {}
    for condition in conditions:
        alert = known.pop(condition.key, None)
        if alert is None:
            _open(condition, accounts.get(condition.account), channels, now)
        else:
            _keep(alert, condition, channels, now)
    for alert in known.values():
        if now - alert.last_seen_at >= OVER_AFTER:
            _close(alert, now, ending(alert.key))


def _open(condition: Condition, account: Account | None, channels: Collection[Channel], now: datetime) -> None:
    try:
        with transaction.atomic():
            alert = Alert.objects.create(
                account=account, key=condition.key, kind=condition.kind, severity=condition.severity,
                sentence=condition.sentence, link=condition.link, number=condition.number,
                first_seen_at=now, last_seen_at=now,
            )  # fmt: skip
            _tell(alert, condition, channels, now)
    except IntegrityError:  # another process saw it at the same moment
        return


def _keep(alert: Alert, condition: Condition, channels: Collection[Channel], now: datetime) -> None:
    changed = (alert.severity, alert.sentence, alert.number) != (
        condition.severity, condition.sentence, condition.number
    )  # fmt: skip
    purpose = purpose_of(condition, alert.told)
    wanted = purpose is not None and bool(_takers(condition, channels))
    if not changed and not wanted and abs(now - alert.last_seen_at) < SEEN_EVERY:
        return
    with transaction.atomic():
        mine = Alert.objects.filter(pk=alert.pk, state=Alert.State.OPEN, told_at=alert.told_at)
        seen = mine.update(
            severity=condition.severity, sentence=condition.sentence, link=condition.link, number=condition.number,
            last_seen_at=now,
        )  # fmt: skip
        if seen and wanted:
            _tell(alert, condition, channels, now)


def _takers(condition: Condition, channels: Collection[Channel]) -> list[Channel]:
    """Those that want it. That a channel fails is told by the others, as `looking` names it."""
    wanting = [channel for channel in channels if channel.takes(condition.kind, condition.severity)]
    if condition.kind != AlertKind.CHANNEL:
        return wanting
    return [channel for channel in wanting if channel.thing_key not in condition.things]


def _tell(alert: Alert, condition: Condition, channels: Collection[Channel], now: datetime) -> None:
    """Record a message for each channel that takes it; while there is none the alert stays untold.

    Call it in the transaction that made the row, or that found it told as `alert` says: nobody else tells it then.
    """
    purpose = purpose_of(condition, alert.told)
    takers = _takers(condition, channels)
    if purpose is None or not takers:
        return
    heard = alert.told.things if len(alert.told.things) <= MOST_KEPT else frozenset()
    things = heard | condition.things
    Alert.objects.filter(pk=alert.pk).update(
        told_at=now,
        told_severity=condition.severity,
        told_number=condition.number,
        told_things=sorted(things),
    )
    message = wording.about(condition, purpose=purpose, since=alert.first_seen_at, now=now, site_url=settings.SITE_URL)
    for channel in takers:
        record(channel, message, purpose=purpose, now=now, alert=alert, severity=condition.severity)


def _close(alert: Alert, now: datetime, ending: str) -> None:
    """It is over. Whoever was told of the trouble is told of its end, once; of an event there is none to tell.

    With an `ending` it is not over, and that is told.
    """
    with transaction.atomic():
        mine = Alert.objects.filter(pk=alert.pk, state=Alert.State.OPEN, last_seen_at=alert.last_seen_at)
        if not mine.update(state=Alert.State.CLOSED, closed_at=now) or not alert.told_severity:
            return
        if ALERT_KINDS[AlertKind(alert.kind)].is_event(alert.key):
            return
        message = wording.resolved(
            kind=alert.kind, account=alert.account.slug if alert.account else "", since=alert.first_seen_at,
            now=now, link=alert.link, site_url=settings.SITE_URL, ending=ending,
        )  # fmt: skip
        for channel in _heard_by(alert):
            record(channel, message, purpose=Purpose.RESOLVED, now=now, alert=alert, severity=alert.severity)


def tell_again(failed: Delivery) -> None:
    """The message is given up. If nobody heard of its alert by any other, the alert counts as untold, and while the
    trouble lasts it is told anew. Call it in the transaction that gave the message up.
    """
    others = Delivery.objects.filter(alert=failed.alert_id).exclude(state=Delivery.State.FAILED)
    if failed.alert_id is None or others.exists():
        return
    mine = Alert.objects.filter(pk=failed.alert_id, state=Alert.State.OPEN)
    mine.update(told_at=None, told_severity="", told_number=0, told_things=[])


def _heard_by(alert: Alert) -> Iterable[Channel]:
    failed = (Delivery.State.FAILED, Delivery.State.HELD)
    told = Delivery.objects.filter(alert=alert).exclude(state__in=failed)
    return Channel.objects.filter(is_on=True, pk__in=told.values("channel"))


def record(
    channel: Channel, message: Message, *, purpose: Purpose, now: datetime, alert: Alert | None = None,
    severity: str = "",
) -> Delivery:  # fmt: skip
    """Write down one message. Beyond the channel's number in an hour it is held back for a summary.

    What still waits about the same alert is tried again now: this one comes after it, never before.
    """
    if alert is not None:
        Delivery.objects.filter(channel=channel, alert=alert, state=Delivery.State.WAITING, not_before__gt=now).update(
            not_before=now
        )
    is_throttled = alert is not None and _sent_lately(channel, now) >= _most(channel, severity)
    return Delivery.objects.create(
        channel=channel, alert=alert, purpose=purpose, severity=severity, title=message.title, body=message.body,
        state=Delivery.State.HELD if is_throttled else Delivery.State.WAITING, created_at=now, not_before=now,
    )  # fmt: skip


def _sent_lately(channel: Channel, now: datetime) -> int:
    lately = Delivery.objects.filter(channel=channel, created_at__gt=now - WINDOW, alert__isnull=False)
    return lately.exclude(state__in=(Delivery.State.HELD, Delivery.State.SUMMED_UP)).count()


def _most(channel: Channel, severity: str) -> int:
    """A quarter of the hour's number is kept for what is critical: a storm of lesser troubles must not hide it."""
    return channel.most_an_hour if severity == Severity.CRITICAL else channel.most_an_hour - channel.most_an_hour // 4
