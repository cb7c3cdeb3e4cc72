"""Alerts and messages as lists: which rows the query string asks for, and their columns."""

from typing import Any

from django.db.models import QuerySet
from django.http import QueryDict

from alerts.models import Alert, DailyReport, Delivery
from broker.models import Account
from ui.tables import Column, Table

ALERTS: Table[Alert] = Table(
    in_database=True,
    has_chooser=True,
    default_sort="-first_seen_at",
    columns=(
        Column(name="first_seen_at", label="Seen", kind="time", sort_field="first_seen_at",
               value=lambda a: a.first_seen_at),
        Column(name="kind", label="What", sort_field="kind", value=lambda a: a.kind),
        Column(name="severity", label="Severity", value=lambda a: a.severity),
        Column(name="sentence", label="In words", value=lambda a: a.sentence),
        Column(name="account", label="Account", value=lambda a: a.account.slug if a.account else ""),
        Column(name="state", label="State", sort_field="state", value=lambda a: a.state),
        Column(name="closed_at", label="Over", kind="time", sort_field="closed_at", value=lambda a: a.closed_at),
        Column(name="told_at", label="Told", kind="time", sort_field="told_at", value=lambda a: a.told_at),
        Column(name="last_seen_at", label="Last seen", kind="time", sort_field="last_seen_at", is_extra=True,
               value=lambda a: a.last_seen_at),
        Column(name="link", value=lambda a: a.link),
    ),
)  # fmt: skip

DELIVERIES: Table[Delivery] = Table(
    in_database=True,
    has_chooser=True,
    default_sort="-created_at",
    columns=(
        Column(name="created_at", label="Recorded", kind="time", sort_field="created_at", value=lambda d: d.created_at),
        Column(name="channel", label="Channel", sort_field="channel__name", value=lambda d: d.channel.name),
        Column(name="purpose", label="Why", sort_field="purpose", value=lambda d: d.purpose),
        Column(name="title", label="Message", value=lambda d: d.title),
        Column(name="state", label="State", sort_field="state", value=lambda d: d.state),
        Column(name="outcome", label="Outcome", value=lambda d: d.outcome),
        Column(name="attempts", label="Tries", kind="number", sort_field="attempts", value=lambda d: d.attempts),
        Column(name="ended_at", label="Ended", kind="time", sort_field="ended_at", is_extra=True,
               value=lambda d: d.ended_at),
        Column(name="body", value=lambda d: d.body),
    ),
)  # fmt: skip


def _fact(report: DailyReport, *path: str) -> Any:
    """Return a figure of the report; None where it has none, or was made before reports had it."""
    found: Any = report.facts
    for name in path:
        found = (found or {}).get(name)
    return found


REPORTS: Table[DailyReport] = Table(
    in_database=True,
    default_sort="-day",
    columns=(
        Column(name="day", label="Day", sort_field="day", value=lambda r: r.day.isoformat()),
        Column(name="equity", label="Equity", kind="number", value=lambda r: _fact(r, "money", "equity")),
        Column(name="day_change", label="Change", kind="number", value=lambda r: _fact(r, "money", "day_change")),
        Column(name="orders", label="Orders", kind="number", value=lambda r: _fact(r, "order_count")),
        Column(name="found", label="Drift found", kind="number", value=lambda r: _fact(r, "drift", "found_count")),
        Column(name="open", label="Drift open", kind="number", value=lambda r: _fact(r, "drift", "open_count")),
        Column(name="alerts", label="Alerts", kind="number", value=lambda r: _fact(r, "alert_count")),
        Column(name="made_at", label="Made", kind="time", sort_field="made_at", value=lambda r: r.made_at),
    ),
)  # fmt: skip


def listed_reports(account: Account) -> "QuerySet[DailyReport]":
    return DailyReport.objects.filter(account=account).defer("markdown", "html")


def listed_alerts(params: QueryDict) -> "QuerySet[Alert]":
    """Return those that ?status=open|closed, ?kind= and ?severity= leave."""
    wanted = _wanted(params, {"status": "state", "kind": "kind", "severity": "severity"})
    return Alert.objects.filter(**wanted).select_related("account")


def listed_deliveries(params: QueryDict) -> "QuerySet[Delivery]":
    """Return those that ?channel=, ?state=, ?purpose= and ?alert= leave."""
    wanted = _wanted(params, {"channel": "channel__name", "state": "state", "purpose": "purpose"})
    if (alert := params.get("alert", "")).isascii() and alert.isdigit() and len(alert) < 18:
        wanted["alert"] = int(alert)
    return Delivery.objects.filter(**wanted).select_related("channel")


def _wanted(params: QueryDict, fields: dict[str, str]) -> dict[str, Any]:
    given = {field: params.get(name, "").strip() for name, field in fields.items()}
    return {field: value for field, value in given.items() if value}
