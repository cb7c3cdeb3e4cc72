"""The open differences of an account as rows, for CSV: what the board shows as causes and consequences."""

import json
from typing import Any

from django.db.models import QuerySet

from broker.models import Account
from reconciliation.models import Drift
from ui.tables import Column, Table


def _as_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)


OPEN_DRIFTS: Table[Drift] = Table(
    in_database=True,
    default_sort="drift",
    columns=(
        Column(name="drift", sort_field="pk", value=lambda drift: drift.pk),
        Column(name="cause", sort_field="cause_id", value=lambda drift: drift.cause_id),
        Column(name="kind", sort_field="kind", value=lambda drift: drift.kind),
        Column(name="group", sort_field="group", value=lambda drift: drift.group),
        Column(name="severity", sort_field="severity", value=lambda drift: drift.severity),
        Column(name="symbol", sort_field="symbol", value=lambda drift: drift.symbol),
        Column(name="sentence", value=lambda drift: drift.sentence),
        Column(name="dollars", kind="number", sort_field="dollars", is_decimal=True, value=lambda drift: drift.dollars),
        Column(name="local", value=lambda drift: _as_json(drift.local)),
        Column(name="broker", value=lambda drift: _as_json(drift.broker)),
        Column(name="fix", value=lambda drift: drift.fix_id),
        Column(name="fix_state", value=lambda drift: drift.fix.state if drift.fix else ""),
        Column(name="assigned_to", sort_field="assigned_to", value=lambda drift: drift.assigned_to),
        Column(name="first_run", value=lambda drift: drift.first_run_id),
        Column(name="last_run", value=lambda drift: drift.last_run_id),
        Column(name="first_seen_at", kind="time", sort_field="first_seen_at", value=lambda drift: drift.first_seen_at),
        Column(name="last_seen_at", kind="time", sort_field="last_seen_at", value=lambda drift: drift.last_seen_at),
    ),
)


def open_drifts(account: Account) -> "QuerySet[Drift]":
    return Drift.objects.filter(account=account).open().select_related("fix").defer("evidence", "fix__plan")
