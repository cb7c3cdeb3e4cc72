"""`manage.py maintain`."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from upkeep.maintaining import maintain


class Command(BaseCommand):
    help = "Delete what has been kept long enough, and let the database tidy itself. Done every night by itself."

    def handle(self, *_args: Any, **_options: Any) -> None:
        gone = maintain(now=timezone.now(), say=self.stdout.write)
        self.stdout.write(f"{gone:,} rows deleted. Orders, fills, runs, fixes and the journal are kept for ever.")
