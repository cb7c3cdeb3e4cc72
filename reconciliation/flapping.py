"""Flapping: a difference that goes away and comes again. Something moves to and fro, and no repair will hold."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Min

from broker.models import Account
from broker.times import NEW_YORK
from reconciliation.models import Drift, Fix

#: What was resolved longer ago is another story.
SPAN = timedelta(hours=24)
#: From so many times on it is said, and no policy applies its repair.
OFTEN = 3


@dataclass(frozen=True, slots=True)
class Flaps:
    count: int
    since: datetime

    @property
    def sentence(self) -> str:
        """Empty while it is nothing to speak of."""
        if self.count < OFTEN:
            return ""
        return f" It came and went {self.count} times since {self.since.astimezone(NEW_YORK):%H:%M} New York time."


def flaps_of(account: Account, keys: Collection[str], now: datetime) -> Mapping[str, Flaps]:
    """How often each key was resolved within the span. What a person brought back by undoing does not count."""
    if not keys:
        return {}
    gone = Drift.objects.filter(account=account, state=Drift.State.RESOLVED, resolved_at__gt=now - SPAN)
    gone = gone.exclude(fix__state=Fix.State.UNDONE)
    rows = gone.order_by().values_list("key").annotate(count=Count("pk"), since=Min("first_seen_at"))
    return {key: Flaps(count=count, since=since) for key, count, since in rows if key in keys}


def told(sentence: str, flaps: Flaps | None) -> str:
    """The sentence with what is known of its coming and going, in 500 letters."""
    extra = flaps.sentence if flaps else ""
    return sentence[: 500 - len(extra)] + extra
