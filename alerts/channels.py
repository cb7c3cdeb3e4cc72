"""Keep a row for every channel that the environment names."""

from datetime import datetime

from django.conf import settings

from alerts.models import Channel


def ensure_channels(now: datetime) -> None:
    """Make the rows that are missing. A row whose address is gone stays, with what was sent by it."""
    known = set(Channel.objects.values_list("name", flat=True))
    for name in settings.ALERT_CHANNELS:
        if name not in known:
            Channel.objects.get_or_create(name=name, defaults={"created_at": now})
