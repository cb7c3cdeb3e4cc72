"""`manage.py enter_price DRIFT PRICE --reason … --as USER`: enter a number. Exit 0 proposed, 1 not, 2 refused."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from reconciliation.account_option import as_json, refusals
from reconciliation.columns import columns
from reconciliation.documents import fix_document
from reconciliation.entered_rows import EnteredValue
from reconciliation.entered_values import enter_value
from reconciliation.errors import ReconciliationError
from reconciliation.management.commands.backfill import approver
from reconciliation.models import Drift, Fix, Run
from reconciliation.running import run_reconciliation


class Command(BaseCommand):
    help = (
        "Enter the exit price, or the cost basis a share, that no evidence gives; a run then proposes the fix, which "
        "`backfill --fix` approves. Exit status: 0 proposed, 1 not proposed, 2 refused."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", type=int, help="the difference (`reconcile` names it)")
        parser.add_argument("price", help="dollars a share, such as 172.30")
        parser.add_argument("--reason", required=True, help="where the number is from; kept in ledger and journal")
        parser.add_argument("--as", dest="user", required=True, metavar="USER", help="the person who enters it")
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *_args: Any, **options: Any) -> None:
        with refusals():
            actor = approver(options["user"], act="enter prices for")
            drift = Drift.objects.select_related("account", "fix").filter(pk=options["id"]).first()
            if drift is None:
                raise ReconciliationError(
                    f"There is no difference {options['id']}. `reconcile` names those that want a number."
                )
            value = enter_value(
                drift=drift, price=options["price"], reason=options["reason"], actor=actor, now=timezone.now()
            )
            run = run_reconciliation(account=drift.account, trigger=Run.Trigger.DEMAND, requested_by=actor)
        fixes = Fix.objects.filter(account=drift.account, key=drift.key).proposed().select_related("account")
        fix = next((found for found in fixes if _uses(found, value)), None)
        self._tell(value, run, fix, as_document=options["json"])
        sys.exit(0 if fix else 1)

    def _tell(self, value: EnteredValue, run: Run, fix: Fix | None, *, as_document: bool) -> None:
        if value.doubt:
            self.stderr.write(value.doubt)
        if as_document:
            document = {"drift": value.drift_id, "run": run.pk, "doubt": value.doubt or None}
            self.stdout.write(as_json({**document, "fix": fix_document(fix) if fix else None}))
            return
        if fix is None:
            self.stdout.write(f"Entered. Run {run.pk} ({run.get_state_display()}) proposes no fix with it.")
            return
        self.stdout.write(f"fix {fix.pk}  {fix.title}")
        for row in columns(fix):
            if row.changes:
                self.stdout.write(f"    {row.label}: {row.database or '–'} → {row.after}")


def _uses(fix: Fix, value: EnteredValue) -> bool:
    return any(operation.get("entered_by") == value.entered_by for operation in fix.plan)
