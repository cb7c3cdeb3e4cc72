"""Try a channel at once, for the person who asks: recorded, sent with a hard time-out, noted."""

import threading
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from alerts import wording
from alerts.courier import send_to
from alerts.models import Channel, Delivery
from alerts.sending import Outcome, not_sent
from alerts.telling import Purpose
from audit import journal
from work.holders import this_process

#: A person waits for it, and a thread of the web server with them.
PATIENCE_SECONDS = 10.0


def try_channel(*, channel: Channel, actor: str, now: datetime, patience: float = PATIENCE_SECONDS) -> Outcome:
    """Send a test and return how it went. Call it outside transactions: it asks the network."""
    message = wording.test_message(channel.name, actor=actor, site_url=settings.SITE_URL)
    with transaction.atomic():
        delivery = Delivery.objects.create(
            channel=channel, purpose=Purpose.TEST, title=message.title, body=message.body, created_at=now,
            state=Delivery.State.SENDING, not_before=now, attempts=1, claimed_by=this_process(), claimed_at=now,
        )  # fmt: skip
        journal.record(
            at=now, actor=actor, action="channel.tested", subject_type="channel", subject_id=channel.pk,
            summary=f"Sent a test by the channel {channel.name}.",
        )  # fmt: skip
    outcomes: list[Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(send_to(channel.name, message)), daemon=True)
    thread.start()
    thread.join(timeout=patience)
    outcome = outcomes[0] if outcomes else not_sent(f"There was no end to it within {patience:.0f} s.")
    state = Delivery.State.SENT if outcome.was_sent else Delivery.State.FAILED
    mine = Delivery.objects.filter(pk=delivery.pk, state=Delivery.State.SENDING)
    mine.update(state=state, outcome=outcome.words[:300], ended_at=timezone.now())
    return outcome
