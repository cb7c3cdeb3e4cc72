"""The journal as a list: which entries the query string asks for, and their columns."""

import json
from datetime import MAXYEAR, date, datetime, time
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from django.db.models import Q, QuerySet
from django.http import QueryDict
from django.utils.dateparse import parse_date

from audit.models import AuditEntry
from ui.tables import Column, Table

if TYPE_CHECKING:
    from django_stubs_ext import ValuesQuerySet

NEW_YORK = ZoneInfo("America/New_York")

TABLE: Table[AuditEntry] = Table(
    in_database=True,
    has_chooser=True,
    default_sort="-at",
    columns=(
        Column(name="at", label="Time", kind="time", sort_field="at", value=lambda e: e.at),
        Column(name="actor", label="Who", sort_field="actor", value=lambda e: e.actor),
        Column(name="action", label="Act", sort_field="action", value=lambda e: e.action),
        Column(name="summary", label="What", value=lambda e: e.summary),
        Column(name="reason", label="Why", value=lambda e: e.reason),
        Column(name="account", label="Account", sort_field="account", value=lambda e: e.account),
        Column(name="subject_type", value=lambda e: e.subject_type),
        Column(name="subject_id", value=lambda e: e.subject_id),
        Column(name="before", value=lambda e: _as_text(e.before)),
        Column(name="after", value=lambda e: _as_text(e.after)),
    ),
)


def listed_entries(params: QueryDict) -> "QuerySet[AuditEntry]":
    """Return the entries that ?actor=, ?action=, ?subject_type=, ?subject_id=, ?on=, ?since=, ?until=, ?q= leave.

    Days are New York's. Words are looked for in what was done and why, and as a name.
    """
    entries = AuditEntry.objects.all()
    for name in ("actor", "action", "subject_type", "subject_id"):
        if value := params.get(name, "").strip():
            entries = entries.filter(**{name: value})
    on = _day(params.get("on", ""))
    if since := on or _day(params.get("since", "")):
        entries = entries.filter(at__gte=datetime.combine(since, time.min, NEW_YORK))
    if until := on or _day(params.get("until", "")):
        entries = entries.filter(at__lte=datetime.combine(until, time.max, NEW_YORK))
    if part := params.get("q", "").strip():
        entries = entries.filter(Q(summary__icontains=part) | Q(reason__icontains=part) | Q(actor__iexact=part))
    return entries


def action_choices() -> "ValuesQuerySet[AuditEntry, str]":
    """The acts that occur. Lazy: a refresh does not show them."""
    return AuditEntry.objects.order_by("action").values_list("action", flat=True).distinct()


def _as_text(value: Any) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _day(text: str) -> date | None:
    try:
        found = parse_date(text)
    except ValueError:  # well-formed, but no such day
        return None
    # The very last day ends beyond what a time can say.
    return found if found is not None and found.year < MAXYEAR else None
