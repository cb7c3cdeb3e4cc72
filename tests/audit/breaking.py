"""Entries of several acts, and somebody with the owner's rights who changes them."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db import connection

from audit import journal
from audit.models import AuditEntry
from tests.factories import NOW
from tests.flushing import without_triggers


def make_entries(count: int = 6) -> list[AuditEntry]:
    return [
        journal.record(
            at=NOW + timedelta(seconds=number, microseconds=7),
            actor="ops",
            action="fix.applied",
            summary=f"Applied number {number}: „<script>“",
            account="sim",
            subject_type="fix",
            subject_id=number,
            reason="right so" if number % 2 else "",
            before={"qty": str(Decimal("1.10")), "b": [1, 2.0, None, True], "a": {10: "x", 2: 1e16}},
            after=None if number % 2 else {"qty": 2.5},
            correlation_id=f"c-{number}",
        )
        for number in range(count)
    ]


def tamper(*steps: str | tuple[str, list[Any]]) -> None:
    with without_triggers(connection), connection.cursor() as cursor:
        for step in steps:
            cursor.execute(*((step,) if isinstance(step, str) else step))
