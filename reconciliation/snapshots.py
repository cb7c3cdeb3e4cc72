"""Keep the picture of each complete run, and let go of old ones."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from broker.models import Account
from broker.times import NEW_YORK
from reconciliation.models import Run, RunSnapshot

#: Every picture of the last days stays; of older ones the last of each day, and each that shows drift.
KEEP_EVERY_PICTURE = timedelta(days=30)
#: So many go in one statement: nobody waits for the database meanwhile.
DELETED_AT_ONCE = 500


def keep_snapshot(*, run: Run, picture: Mapping[str, Any]) -> RunSnapshot:
    """Store both sides as the run saw them. Call it in the transaction that ends the run."""
    began_at = datetime.fromisoformat(run.completeness["readings"][-1]["began_at"])
    taken = {"taken_at": began_at, "local": picture["local"], "broker": picture["broker"]}
    return RunSnapshot.objects.update_or_create(run=run, defaults=taken)[0]


def latest_snapshot(account: Account) -> RunSnapshot | None:
    """The picture of the last complete run."""
    mine = RunSnapshot.objects.filter(run__account=account).select_related("run")
    return mine.order_by("-run_id").first()


def prune_pictures(*, account: Account, now: datetime) -> int:
    """Delete old pictures but the last of each New York day and those with drift. Return how many went."""
    old = RunSnapshot.objects.filter(run__account=account, taken_at__lt=now - KEEP_EVERY_PICTURE)
    last_of_day: dict[object, int] = {}
    in_sync = []
    for pk, state, taken_at in old.order_by("run_id").values_list("pk", "run__state", "taken_at"):
        last_of_day[taken_at.astimezone(NEW_YORK).date()] = pk
        if state == Run.State.IN_SYNC:
            in_sync.append(pk)
    kept = set(last_of_day.values())
    gone = [pk for pk in in_sync if pk not in kept]
    for start in range(0, len(gone), DELETED_AT_ONCE):
        RunSnapshot.objects.filter(pk__in=gone[start : start + DELETED_AT_ONCE]).delete()
    return len(gone)
