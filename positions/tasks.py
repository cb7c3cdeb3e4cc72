"""What django-q2 runs. It may come late, twice, or at the same time as its double."""

from django.utils import timezone

from broker.models import Account
from positions.protecting import protect_positions
from work.queue import mark_started


def protect_positions_task(account_id: int) -> None:
    mark_started(f"exits:{account_id}")
    protect_positions(account=Account.objects.get(pk=account_id), now=timezone.now())
