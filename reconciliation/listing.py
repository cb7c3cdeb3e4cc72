"""Runs as a list: which rows the query string asks for, and their columns."""

from datetime import timedelta

from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import QueryDict

from broker.models import Account
from reconciliation.models import Drift, Run
from ui.tables import Column, Table


def duration_of(run: Run) -> timedelta | None:
    if run.started_at is None or run.finished_at is None:
        return None
    return run.finished_at - run.started_at


def _seconds(run: Run) -> str | None:
    duration = duration_of(run)
    return None if duration is None else f"{duration.total_seconds():.1f}"


RUNS: Table[Run] = Table(
    in_database=True,
    default_sort="-run",
    columns=(
        Column(name="run", label="Run", sort_field="pk", value=lambda run: run.pk),
        Column(name="state", label="Verdict", sort_field="state", value=lambda run: run.state),
        Column(name="causes", label="Causes", kind="number", sort_field="causes", value=lambda run: run.causes),  # type: ignore[attr-defined]
        Column(
            name="consequences",
            label="Consequences",
            kind="number",
            sort_field="followers",
            value=lambda run: run.followers,  # type: ignore[attr-defined]
        ),
        Column(name="trigger", label="Why", sort_field="trigger", value=lambda run: run.trigger),
        Column(name="requested_by", label="Asked by", sort_field="requested_by", value=lambda run: run.requested_by),
        Column(name="started_at", label="Started", kind="time", sort_field="started_at", value=lambda r: r.started_at),
        Column(name="duration_seconds", label="Took (s)", kind="number", value=_seconds),
        Column(name="api_calls", label="Calls", kind="number", sort_field="api_calls", value=lambda run: run.api_calls),
        Column(name="finished_at", value=lambda run: run.finished_at),
        Column(name="is_full", value=lambda run: run.is_full),
        Column(name="incomplete_reason", value=lambda run: run.incomplete_reason),
    ),
)


def listed_runs(account: Account, params: QueryDict) -> "QuerySet[Run]":
    """Return the runs that ?state= and ?trigger= leave, each with the drift that it showed."""
    runs = Run.objects.filter(account=account).defer("completeness", "progress")
    if state := params.get("state"):
        runs = runs.filter(state=state)
    if trigger := params.get("trigger"):
        runs = runs.filter(trigger=trigger)
    seen = Drift.objects.filter(
        account=account, first_seen_at__lte=OuterRef("finished_at"), last_seen_at__gte=OuterRef("finished_at")
    )
    return runs.annotate(causes=_counted(seen.filter(cause=None)), followers=_counted(seen.exclude(cause=None)))


def _counted(drifts: "QuerySet[Drift]") -> Coalesce:
    counted = drifts.order_by().values("account").annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)
