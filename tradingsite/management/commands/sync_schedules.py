"""`manage.py sync_schedules`."""

from typing import Any

from django.core.management.base import BaseCommand

from tradingsite.preconditions import require_database
from tradingsite.schedules import sync_schedules


class Command(BaseCommand):
    help = "Bring the scheduled tasks in step with their declaration. `demo` and `worker` do it when they start."

    def handle(self, *_args: Any, **_options: Any) -> None:
        require_database()
        changes = sync_schedules()
        self.stdout.write(f"{changes} schedules changed." if changes else "The schedules are as declared.")
