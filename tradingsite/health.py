"""What machines ask: is the process alive, can the installation do its work, and the numbers behind it.

No log-in: a probe has none. Nothing here names an order, a symbol or a person.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.db import Error as DatabaseError
from django.db import connection
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_q.tasks import queue_size

from broker.models import Account, StreamState
from broker.stream_state import health_of
from orders.models import Order
from reconciliation.models import Drift, Fix, Run
from work.models import Heartbeat

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
        reason = {
            "is_ready": False,
            "database": {"is_ready": not isinstance(error, DatabaseError)},
            "reason": str(error),
        }
        return JsonResponse(reason, status=503)
    state = {"is_ready": queue["is_ready"], "database": {"is_ready": True}, "queue": queue, "last_runs": runs}
    return JsonResponse(state, status=200 if state["is_ready"] else 503)


def _queue_state(now: datetime) -> dict[str, Any]:
    ages = _heartbeat_ages(now)
    late = [name for name, limit in STALE_AFTER_SECONDS.items() if ages.get(name, limit + 1) > limit]
    return {"is_ready": not late, "no_sign_of": late, "heartbeat_ages": ages, "depth": queue_size()}


def _heartbeat_ages(now: datetime) -> dict[str, float]:
    beats = Heartbeat.objects.order_by("name").values_list("name", "at")
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
    now = timezone.now()
    lines = [line for name, help_text, samples in _families(now) for line in _family(name, help_text, samples)]
    return HttpResponse("\n".join(lines) + "\n", content_type="text/plain; version=0.0.4; charset=utf-8")


Samples = Iterable[tuple[dict[str, str], float]]


def _families(now: datetime) -> Iterator[tuple[str, str, Samples]]:
    yield "orders", "Orders by what we know of their sending.", _counts(Order.objects.all(), "submission_state")
    yield "open_drifts", "Open differences between database and broker.", _counts(Drift.objects.open(), "kind")
    yield "proposed_fixes", "Fixes that wait for a person.", [({}, Fix.objects.proposed().count())]
    yield "queue_depth", "Tasks that wait for a worker.", [({}, queue_size())]
    ages = [({"name": name}, age) for name, age in _heartbeat_ages(now).items()]
    yield "heartbeat_age_seconds", "Time since each part's last sign of life.", ages
    streams = StreamState.objects.select_related("account").exclude(holder="").order_by("pk")
    live = [({"account": state.account.slug}, float(health_of(state, now).is_live)) for state in streams]
    yield "stream_is_live", "1 while the account's trade_updates are followed without a gap.", live
    runs = [_run_state(run, now) for run in _last_runs()]
    yield (
        "last_run_age_seconds",
        "Time since the last finished reconciliation.",
        [({"account": run["account"], "state": run["state"]}, run["age_seconds"] or 0.0) for run in runs],
    )


def _counts(rows: Any, field: str) -> Samples:
    counted = rows.order_by().values_list(field).annotate(count=Count("pk")).order_by(field)
    return [({field: value}, count) for value, count in counted]


def _family(name: str, help_text: str, samples: Samples) -> Iterator[str]:
    yield f"# HELP tradingsite_{name} {help_text}"
    yield f"# TYPE tradingsite_{name} gauge"
    for labels, value in samples:
        written = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        yield f"tradingsite_{name}{{{written}}} {value}" if written else f"tradingsite_{name} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
