"""What machines ask: is the process alive, can the installation do its work, and the numbers behind it.

No log-in: a probe has none. Nothing here names an order, a symbol or a person.
"""

import logging
from datetime import datetime
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.db import Error as DatabaseError
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_q.tasks import queue_size
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from broker.models import Account
from reconciliation.models import Run
from tradingsite.metrics import exposition
from work.models import Heartbeat

logger = logging.getLogger(__name__)

#: The ticker beats every three seconds. A worker may be busy with one task, so its silence says less.
STALE_AFTER_SECONDS = {"ticker": 15.0, "worker": 45.0}


@login_not_required
@require_safe
@never_cache
def healthz(_request: HttpRequest) -> HttpResponse:
    """The process answers. Asks nobody else."""
    return HttpResponse("ok\n", content_type="text/plain")


@login_not_required
@require_safe
@never_cache
def readyz(_request: HttpRequest) -> JsonResponse:
    """200 if the database answers and a worker works, else 503. Drift is no reason: finding it is the work."""
    now = timezone.now()
    try:
        queue = _queue_state(now)
        runs = [_run_state(run, now) for run in _last_runs()]
    except Exception as error:  # the database, or a Redis queue: whatever it is, the probe gets its answer
        connection.close()
        is_database = isinstance(error, DatabaseError)
        # The error may name hosts and users, and a probe is anybody: the words are in the log.
        logger.warning("not ready: %s", error)
        reason = "the database does not answer" if is_database else "the queue does not answer"
        state = {"is_ready": False, "database": {"is_ready": not is_database}, "reason": reason}
        return JsonResponse(state, status=503)
    state = {"is_ready": queue["is_ready"], "database": {"is_ready": True}, "queue": queue, "last_runs": runs}
    return JsonResponse(state, status=200 if state["is_ready"] else 503)


def _queue_state(now: datetime) -> dict[str, Any]:
    ages = _heartbeat_ages(now)
    late = [name for name, limit in STALE_AFTER_SECONDS.items() if ages.get(name, limit + 1) > limit]
    return {"is_ready": not late, "no_sign_of": late, "heartbeat_ages": ages, "depth": queue_size()}


def _heartbeat_ages(now: datetime) -> dict[str, float]:
    beats = Heartbeat.objects.order_by("name", "at").values_list("name", "at")  # of several clusters the newest counts
    return {name: round((now - at).total_seconds(), 1) for name, at in beats}


def _last_runs() -> list[Run]:
    """The last finished run of each active account that has one."""
    accounts = Account.objects.active().order_by("slug")
    last = (Run.objects.finished().filter(account=account).order_by("-pk").first() for account in accounts)
    return [run for run in last if run is not None]


def _run_state(run: Run, now: datetime) -> dict[str, Any]:
    age = (now - run.finished_at).total_seconds() if run.finished_at else None
    return {"account": run.account.slug, "run": run.pk, "state": run.state, "age_seconds": age}


@login_not_required
@require_safe
@never_cache
def metrics(_request: HttpRequest) -> HttpResponse:
    """The numbers in Prometheus' text format."""
    return HttpResponse(exposition(timezone.now()), content_type=CONTENT_TYPE_PLAIN_0_0_4)
