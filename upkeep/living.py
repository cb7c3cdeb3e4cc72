"""Which programs of this installation are alive, as far as their signs of life tell."""

from datetime import datetime, timedelta

from django.db import DEFAULT_DB_ALIAS

from work.holders import is_gone
from work.models import Heartbeat

#: The slowest of them beats every few seconds; a host that was cut off is given up after this.
SILENT_AFTER = timedelta(seconds=60)


def living(now: datetime, *, using: str = DEFAULT_DB_ALIAS) -> list[str]:
    """Names of the workers and streams that write to this database. One that died on this host counts no more."""
    fresh = Heartbeat.objects.using(using).filter(at__gt=now - SILENT_AFTER).order_by("name")
    return [f"{beat.name} ({beat.holder})" for beat in fresh if not is_gone(beat.holder)]
