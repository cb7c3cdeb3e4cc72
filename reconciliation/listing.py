"""Runs as a list: which rows the query string asks for, their columns, and the drift that each showed."""

from datetime import timedelta
from typing import Any

from django.db.models import Count, DurationField, ExpressionWrapper, F, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import QueryDict

from broker.models import Account
from reconciliation.kinds import Severity
from reconciliation.models import Drift, Run
from ui.tables import Column, Table

JUDGED = (Run.State.IN_SYNC, Run.State.DRIFT)


def duration_of(run: Run) -> timedelta | None:
    if run.started_at is None or run.finished_at is None:
        return None
    return run.finished_at - run.started_at


def seconds_of(run: Run) -> str:
    """How long it took, to the tenth of a second; empty while it is not over."""
    duration = duration_of(run)
    return "" if duration is None else f"{duration.total_seconds():.1f}"


def severities_of(run: Any) -> list[tuple[str, int]]:
    """How many differences of each severity a listed run showed, gravest first; those without any left out."""
    counts = [(severity.value, getattr(run, severity.value)) for severity in Severity]
    return [(severity, count) for severity, count in counts if count]


def _counted_by(run: Run, name: str) -> Any:
    """An annotation; nothing for a run that judged nothing, which is not the same as zero."""
    return getattr(run, name) if run.state in JUDGED else None


def _count(name: str, label: str, field: str, about: str) -> Column[Run]:
    return Column(
        name=name,
        label=label,
        kind="number",
        sort_field=field,
        value=lambda run: _counted_by(run, field),
        about=about,
    )


RUNS: Table[Run] = Table(
    in_database=True,
    has_chooser=True,
    default_sort="-run",
    columns=(
        Column(name="run", label="Run", sort_field="pk", value=lambda run: run.pk),
        Column(name="state", label="Verdict", sort_field="state", value=lambda run: run.state),
        _count("causes", "Causes", "causes", "Differences that no other explains"),
        _count("consequences", "Consequences", "followers", "Differences that follow from a cause"),
        Column(
            name="severity",
            label="Severity",
            sort_field="critical",
            value=lambda run: ", ".join(f"{count} {severity}" for severity, count in severities_of(run)),
            about="Causes and consequences by severity",
        ),
        _count("opened", "Opened", "opened", "Differences that this run was the first to show"),
        _count("resolved", "Resolved", "resolved", "Differences that this run no longer showed"),
        Column(name="trigger", label="Why", sort_field="trigger", value=lambda run: run.trigger),
        Column(name="requested_by", label="Asked by", sort_field="requested_by", value=lambda run: run.requested_by),
        Column(name="started_at", label="Started", kind="time", sort_field="started_at", value=lambda r: r.started_at),
        Column(
            name="duration_seconds",
            label="Took (s)",
            kind="number",
            sort_field="duration",
            value=lambda run: seconds_of(run) or None,
        ),
        Column(name="api_calls", label="Calls", kind="number", sort_field="api_calls", value=lambda run: run.api_calls),
        *(_count(severity.value, "", severity.value, "") for severity in Severity),
        Column(name="finished_at", value=lambda run: run.finished_at),
        Column(name="is_full", value=lambda run: run.is_full),
        Column(name="incomplete_reason", value=lambda run: run.incomplete_reason),
    ),
)


def listed_runs(account: Account, params: QueryDict) -> "QuerySet[Run]":
    """Return the runs that ?state=, ?trigger= and ?q= (who asked) leave, each with the drift that it showed."""
    runs = Run.objects.filter(account=account).defer("completeness", "progress")
    if state := params.get("state"):
        runs = runs.filter(state=state)
    if trigger := params.get("trigger"):
        runs = runs.filter(trigger=trigger)
    if asker := params.get("q", "").strip():
        runs = runs.filter(requested_by__icontains=asker)
    mine = Drift.objects.filter(account=account)
    seen = mine.filter(first_seen_at__lte=OuterRef("finished_at"), last_seen_at__gte=OuterRef("finished_at"))
    duration = ExpressionWrapper(F("finished_at") - F("started_at"), output_field=DurationField())
    return runs.annotate(
        duration=duration,
        causes=_counted(seen.filter(cause=None)),
        followers=_counted(seen.exclude(cause=None)),
        opened=_counted(mine.filter(first_run=OuterRef("pk"))),
        # A run's drifts bear the time of its end.
        resolved=_counted(mine.filter(resolved_at=OuterRef("finished_at"))),
        **{severity.value: _counted(seen.filter(severity=severity.value)) for severity in Severity},
    )


def _counted(drifts: "QuerySet[Drift]") -> Coalesce:
    counted = drifts.order_by().values("account").annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)
