"""The installation's numbers for Prometheus, read from the rows: every web process of every host tells the same.

A constant number of questions, however much there is: latencies are of the newest ones only.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import connection
from django.db.models import Count, F, Max, Min
from django_q.models import OrmQ
from django_q.tasks import queue_size
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from alerts.models import Alert
from broker.models import RequestBudget, StreamState
from broker.stream_state import health_of
from orders.models import Order
from reconciliation.models import Drift, Fix, Run
from work import lock_waits
from work.models import Heartbeat

PREFIX = "tradingsite_"
#: Latencies are of the newest so many, and of no more than a day: what was slow last week says nothing of now.
NEWEST = 500
RECENT = timedelta(days=1)
QUANTILES = (0.5, 0.95, 0.99)

Samples = Iterable[tuple[Sequence[str], float]]


def exposition(now: datetime) -> bytes:
    """Return everything in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Rows(now))
    return generate_latest(registry)


def quantiles(seconds: Iterable[float]) -> dict[float, float]:
    """Nearest rank: each is a value that was measured. Nothing measured gives nothing."""
    ordered = sorted(seconds)
    return {q: ordered[min(len(ordered) - 1, int(q * len(ordered)))] for q in QUANTILES} if ordered else {}


class _Rows(Collector):
    def __init__(self, now: datetime) -> None:
        self._now = now

    def collect(self) -> Iterator[Metric]:
        for part in (_orders, _drifts, _runs, _queue, _brokers, _locks):
            yield from part(self._now)


def _gauge(name: str, text: str, labels: Sequence[str], samples: Samples) -> GaugeMetricFamily:
    family = GaugeMetricFamily(PREFIX + name, text, labels=labels)
    for values, number in samples:
        family.add_metric(values, number)
    return family


def _in_quantiles(name: str, text: str, seconds: Iterable[float]) -> GaugeMetricFamily:
    return _gauge(name, text, ["quantile"], (([str(q)], value) for q, value in quantiles(seconds).items()))


def _age(now: datetime, since: datetime | None) -> float:
    return max(0.0, (now - since).total_seconds()) if since else 0.0


def _spans(pairs: Iterable[tuple[datetime | None, datetime | None]]) -> list[float]:
    return [(end - begin).total_seconds() for begin, end in pairs if begin and end]


def _orders(now: datetime) -> Iterator[GaugeMetricFamily]:
    states = Order.objects.order_by().values_list("submission_state").annotate(count=Count("pk"))
    yield _gauge("orders", "Orders by what we know of their sending.", ["submission_state"],
                 (([state], count) for state, count in states.order_by("submission_state")))  # fmt: skip
    statuses = Order.objects.order_by().exclude(status="").values_list("status").annotate(count=Count("pk"))
    yield _gauge("orders_by_status", "Orders by Alpaca's word for them.", ["status"],
                 (([status], count) for status, count in statuses.order_by("status")))  # fmt: skip
    oldest = Order.objects.unconfirmed().aggregate(since=Min("unconfirmed_at"))["since"]
    yield _gauge("oldest_unconfirmed_seconds", "How long the oldest order without a known outcome waits.", [],
                 [([], _age(now, oldest))])  # fmt: skip
    sent = Order.objects.filter(claimed_at__gt=now - RECENT, confirmed_at__gte=F("claimed_at"))
    pairs = sent.order_by("-claimed_at").values_list("claimed_at", "confirmed_at")[:NEWEST]
    yield _in_quantiles("submit_latency_seconds", "From taking an order to knowing that Alpaca has it, newest 500.",
                        _spans(pairs))  # fmt: skip


def _drifts(now: datetime) -> Iterator[GaugeMetricFamily]:
    counts: dict[str, int] = {}
    dollars: dict[str, Decimal] = {}
    since: dict[str, datetime] = {}
    for kind, touched, seen in Drift.objects.open().order_by("kind").values_list("kind", "dollars", "first_seen_at"):
        counts[kind] = counts.get(kind, 0) + 1
        dollars[kind] = dollars.get(kind, Decimal(0)) + (touched or 0)
        since[kind] = min(seen, since.get(kind, seen))
    yield _gauge("open_drifts", "Open differences between database and broker.", ["kind"],
                 (([kind], count) for kind, count in counts.items()))  # fmt: skip
    yield _gauge("open_drift_dollars", "Dollars that the open differences touch.", ["kind"],
                 (([kind], float(sum_)) for kind, sum_ in dollars.items()))  # fmt: skip
    yield _gauge("time_in_drift_seconds", "Age of the oldest open difference.", ["kind"],
                 (([kind], _age(now, oldest)) for kind, oldest in since.items()))  # fmt: skip
    over = Drift.objects.filter(resolved_at__gt=now - RECENT).order_by("-resolved_at")
    times = over.values_list("first_seen_at", "resolved_at")[:NEWEST]
    yield _in_quantiles("drift_repaired_seconds", "From seeing a difference to its end, newest 500 of a day.",
                        _spans(times))  # fmt: skip
    yield _gauge("proposed_fixes", "Fixes that wait for a person.", [], [([], Fix.objects.proposed().count())])
    alerts = Alert.objects.filter(state=Alert.State.OPEN).values_list("severity").annotate(count=Count("pk"))
    yield _gauge("open_alerts", "Alerts that are not over.", ["severity"],
                 (([severity], count) for severity, count in alerts.order_by("severity")))  # fmt: skip


def _runs(now: datetime) -> Iterator[GaugeMetricFamily]:
    newest = Run.objects.finished().filter(account__is_active=True).values("account").annotate(last=Max("pk"))
    last = Run.objects.filter(pk__in=newest.order_by().values("last")).select_related("account")
    runs = list(last.order_by("account__slug"))
    yield _gauge("last_run_age_seconds", "Time since the last finished reconciliation.", ["account", "state"],
                 (([run.account.slug, run.state], _age(now, run.finished_at)) for run in runs))  # fmt: skip
    yield _gauge("last_run_api_calls", "Requests that the last reconciliation made.", ["account"],
                 (([run.account.slug], run.api_calls) for run in runs))  # fmt: skip
    recent = Run.objects.finished().filter(started_at__gt=now - RECENT).order_by("-started_at")
    times = recent.values_list("started_at", "finished_at")[:NEWEST]
    yield _in_quantiles("run_duration_seconds", "How long reconciliations took, newest 500 of a day.",
                        _spans(times))  # fmt: skip


def _queue(now: datetime) -> Iterator[GaugeMetricFamily]:
    yield _gauge("queue_depth", "Tasks that wait for a worker.", [], [([], queue_size())])
    # A task in a worker's hands is locked until later. In Redis a task has no time.
    oldest = OrmQ.objects.filter(lock__lte=now).aggregate(since=Min("lock"))["since"]
    yield _gauge("queue_oldest_seconds", "How long the oldest task waits.", [], [([], _age(now, oldest))])
    # Of several clusters the newest counts.
    beats = Heartbeat.objects.order_by("name").values("name").annotate(newest=Max("at")).values_list("name", "newest")
    yield _gauge("heartbeat_age_seconds", "Time since each part's last sign of life.", ["name"],
                 (([name], _age(now, at)) for name, at in beats))  # fmt: skip


def _brokers(now: datetime) -> Iterator[GaugeMetricFamily]:
    budgets = list(RequestBudget.objects.select_related("account").order_by("account__slug"))
    yield _gauge("broker_requests_left", "Requests that may still be made in this minute.", ["account"],
                 (([row.account.slug], _left(row, now)) for row in budgets))  # fmt: skip
    yield _gauge("broker_requests_limit", "Requests that may be made in a minute.", ["account"],
                 (([row.account.slug], row.limit) for row in budgets))  # fmt: skip
    states = StreamState.objects.select_related("account").exclude(holder="").order_by("account__slug")
    streams = [(state.account.slug, state) for state in states]
    yield _gauge("stream_is_live", "1 while the account's trade_updates are followed without a gap.", ["account"],
                 (([slug], float(health_of(state, now).is_live)) for slug, state in streams))  # fmt: skip
    yield _gauge("stream_lag_seconds", "Time since Alpaca was last heard on the stream.", ["account"],
                 (([slug], _age(now, state.last_heard_at)) for slug, state in streams))  # fmt: skip
    yield _gauge("stream_gap_seconds", "Since when something may have been missed and was not read yet.", ["account"],
                 (([slug], _age(now, state.gap_since)) for slug, state in streams))  # fmt: skip
    yield _gauge("stream_reconnects", "Reconnects of the stream so far.", ["account"],
                 (([slug], state.reconnects) for slug, state in streams))  # fmt: skip


def _left(row: RequestBudget, now: datetime) -> float:
    if row.blocked_until and now < row.blocked_until:
        return 0.0
    return float(row.limit if now >= row.window_ends_at else max(0, row.limit - row.used))


def _locks(_now: datetime) -> Iterator[Metric]:
    """Of SQLite the sums since the installation was made, of PostgreSQL who waits at this moment."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
            waiting = cursor.fetchone()[0]
        yield _gauge("lock_waiting", "Connections that wait for a lock now.", [], [([], waiting)])
        return
    count, seconds = lock_waits.totals()
    yield CounterMetricFamily(PREFIX + "lock_waits", "Times that a write waited for SQLite's lock.", value=count)
    yield CounterMetricFamily(PREFIX + "lock_wait_seconds", "Seconds of these waits.", value=seconds)
