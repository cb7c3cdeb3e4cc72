"""Carry the recorded messages to their channels, each channel in a thread of its own while it is being sent to.

Recorded, claimed, sent, noted: the network is asked outside every transaction, and a channel that hangs keeps neither
the other channels nor its caller waiting. What a dead process had in hand is taken up again, once.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F

from alerts.models import Channel, Delivery
from alerts.noting import tell_again
from alerts.sending import SEND_SECONDS, Outcome, not_sent, send
from alerts.wording import Message
from work.holders import is_gone, this_process

#: Waits before the tries after the first one.
PAUSES = tuple(timedelta(seconds=seconds) for seconds in (15, 60, 300, 900, 3600))
#: Nobody sends for so long: who claimed it is gone, or hangs for good.
CLAIM_LASTS = timedelta(seconds=90)
#: What hangs beyond its own time-out is given up, and its thread left to itself.
GIVEN_UP_AFTER = timedelta(seconds=SEND_SECONDS + 15)
#: A channel may have been switched off, or without an address, for long: what is older is news no more.
WAITS_AT_MOST = timedelta(days=1)
#: A second interruption may be the message's own fault, and it may have arrived twice.
MOST_INTERRUPTIONS = 2
_LOOK_SECONDS = 0.02
_AT_ONCE = 5

Send = Callable[[str, Message], Outcome]
log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Errand:
    delivery: Delivery
    message: Message
    began_at: datetime
    outcome: Outcome | None = None
    thread: threading.Thread | None = field(default=None)


def send_to(channel: str, message: Message) -> Outcome:
    return send(channel, message, settings.ALERT_CHANNELS)


class Courier:
    """Belongs to one thread. `send` is what asks the network."""

    def __init__(self, send: Send = send_to) -> None:
        self._send = send
        self._errands: dict[int, _Errand] = {}  # by channel

    def carry(self, now: Callable[[], datetime], *, seconds: float) -> None:
        """Send what is due, for about so many seconds; what takes longer goes on beside the caller."""
        deadline = time.monotonic() + seconds
        take_back(now())
        while True:
            self._note_ended(now())
            started = self._start(now())
            if (not self._errands and not started) or time.monotonic() >= deadline:
                return
            self._wait(deadline)

    def note_ended(self, now: datetime) -> None:
        """Write down what ended meanwhile: for who may carry no more, as another does."""
        if self._errands:
            self._note_ended(now)

    def _wait(self, deadline: float) -> None:
        """Until one of them ends."""
        while all(errand.outcome is None for errand in self._errands.values()) and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)

    def _start(self, now: datetime) -> int:
        """Take one message for each channel that is free."""
        started = 0
        channels = Channel.objects.filter(is_on=True, name__in=settings.ALERT_CHANNELS)
        for channel in channels.exclude(pk__in=list(self._errands)):
            delivery = claim_next(channel, now=now)
            if delivery is not None:
                self._errands[channel.pk] = errand = _Errand(delivery, _message(delivery), now)
                errand.thread = threading.Thread(
                    target=self._run, args=(errand, channel.name), name=f"alert-{channel.name}", daemon=True
                )
                errand.thread.start()
                started += 1
        return started

    def _run(self, errand: _Errand, channel: str) -> None:
        """In the thread of the errand: no database."""
        try:
            errand.outcome = self._send(channel, errand.message)
        except BaseException as error:  # a thread that dies silently would look like one that hangs
            errand.outcome = not_sent(f"It could not be sent ({type(error).__name__}).")

    def _note_ended(self, now: datetime) -> None:
        for channel_id, errand in list(self._errands.items()):
            outcome = errand.outcome
            if outcome is None and now - errand.began_at >= GIVEN_UP_AFTER:
                waited = int(GIVEN_UP_AFTER.total_seconds())
                outcome = not_sent(f"There was no end to it within {waited} s; it may have arrived.")
            if outcome is not None:
                note(errand.delivery, outcome, now=now)
                del self._errands[channel_id]


def _message(delivery: Delivery) -> Message:
    """A report goes as HTML where mail is sent, and as Markdown everywhere else."""
    report = delivery.report
    return Message(delivery.title, delivery.body, html=report.html if report else "", is_markdown=report is not None)


def claim_next(channel: Channel, *, now: datetime) -> Delivery | None:
    """Take the channel's oldest message that is due. Whoever updates the row first has it.

    What follows about the same alert waits for it: that a trouble is over is told after the trouble.
    """
    for delivery in Delivery.objects.filter(pk__in=_due(channel, now)[:_AT_ONCE]).order_by("created_at", "id"):
        if now - delivery.created_at >= WAITS_AT_MOST:
            _expire(delivery, now)
            continue
        mine = Delivery.objects.filter(pk=delivery.pk, state=Delivery.State.WAITING, attempts=delivery.attempts)
        if mine.update(
            state=Delivery.State.SENDING, claimed_by=this_process(), claimed_at=now, attempts=F("attempts") + 1
        ):
            delivery.refresh_from_db()
            return delivery
    return None


def _due(channel: Channel, now: datetime) -> list[int]:
    """Of all that is not sent yet: what may go now, the oldest first, and of each alert only the first."""
    unsent = Delivery.objects.filter(
        channel=channel, state__in=(Delivery.State.WAITING, Delivery.State.SENDING)
    ).order_by("created_at", "id")
    found, alerts = [], set()
    for pk, alert, state, not_before in unsent.values_list("pk", "alert_id", "state", "not_before"):
        is_first = alert is None or alert not in alerts
        alerts.add(alert)
        if is_first and state == Delivery.State.WAITING and not_before <= now:
            found.append(pk)
    return found


def note(delivery: Delivery, outcome: Outcome, *, now: datetime) -> None:
    """Write down how it went; what did not go is tried again, later and later, a handful of times."""
    mine = Delivery.objects.filter(
        pk=delivery.pk, state=Delivery.State.SENDING, claimed_by=delivery.claimed_by, attempts=delivery.attempts
    )
    words = outcome.words[:300]
    if outcome.was_sent:
        mine.update(state=Delivery.State.SENT, ended_at=now, outcome=words)
        return
    log.warning("delivery %s by channel %s failed: %s", delivery.pk, delivery.channel_id, words)
    if delivery.attempts > len(PAUSES):
        with transaction.atomic():
            if mine.update(state=Delivery.State.FAILED, ended_at=now, outcome=words):
                tell_again(delivery)
    else:
        later = now + PAUSES[delivery.attempts - 1]
        mine.update(state=Delivery.State.WAITING, not_before=later, outcome=words)


def _expire(delivery: Delivery, now: datetime) -> None:
    mine = Delivery.objects.filter(pk=delivery.pk, state=Delivery.State.WAITING, attempts=delivery.attempts)
    last = f" The last try: {delivery.outcome}" if delivery.outcome else ""
    with transaction.atomic():
        if mine.update(state=Delivery.State.FAILED, ended_at=now, outcome=f"Not sent for a day.{last}"[:300]):
            tell_again(delivery)


def take_back(now: datetime) -> None:
    """What was claimed and never noted: its process is gone. It goes out once more, and no third time."""
    # By channel: of all that was ever sent the index then shows only these.
    in_hand = Delivery.objects.filter(channel__in=Channel.objects.all(), state=Delivery.State.SENDING)
    for row in in_hand.only("claimed_by", "claimed_at", "interruptions"):
        if not is_gone(row.claimed_by) and row.claimed_at is not None and abs(now - row.claimed_at) < CLAIM_LASTS:
            continue
        mine = Delivery.objects.filter(pk=row.pk, state=Delivery.State.SENDING, claimed_by=row.claimed_by)
        if row.interruptions + 1 >= MOST_INTERRUPTIONS:
            words = "Its sender ended twice before the outcome was noted; it may have arrived."
            mine.update(state=Delivery.State.FAILED, ended_at=now, outcome=words, interruptions=F("interruptions") + 1)
        else:
            mine.update(state=Delivery.State.WAITING, not_before=now, interruptions=F("interruptions") + 1)
