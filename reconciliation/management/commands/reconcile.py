"""`manage.py reconcile`: one run. Exit 0 in sync, 1 drift, 2 incomplete."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from reconciliation.account_option import add_account_option, as_json, chosen_account, refusals
from reconciliation.documents import run_document
from reconciliation.entered_asking import asks_for
from reconciliation.models import Drift, Run
from reconciliation.presentation import family_severity
from reconciliation.running import run_reconciliation
from ui.formatting import counted

EXIT = {Run.State.IN_SYNC: 0, Run.State.DRIFT: 1, Run.State.INCOMPLETE: 2}


class Command(BaseCommand):
    help = "Compare the database with Alpaca once. Exit status: 0 in sync, 1 drift, 2 incomplete."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_account_option(parser)
        parser.add_argument("--full", action="store_true", help="read the whole history, not only what changed")
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *_args: Any, **options: Any) -> None:
        with refusals():
            account = chosen_account(options["account"])
            run = run_reconciliation(
                account=account, trigger=Run.Trigger.DEMAND, requested_by="command:reconcile", is_full=options["full"]
            )
        if options["json"]:
            self.stdout.write(as_json(run_document(run)))
        else:
            self._tell(run)
        sys.exit(EXIT[Run.State(run.state)])

    def _tell(self, run: Run) -> None:
        calls = counted(run.api_calls, "call")
        self.stdout.write(f"Run {run.pk} of {run.account.slug}: {run.get_state_display()}, {calls}.")
        if run.incomplete_reason:
            self.stderr.write(run.incomplete_reason)
        drifts = Drift.objects.filter(last_run=run, state=Drift.State.OPEN).roots()
        drifts = drifts.select_related("fix").prefetch_related("consequences")
        if run.incomplete_reason:
            drifts = drifts.exclude(group="evidence")  # that it is incomplete has just been said
        for drift in drifts:
            fix = f"  fix {drift.fix_id}" if drift.fix_id else "  no fix"
            asked = asks_for(drift)
            enter = f"  {asked.name.lower()} wanted: enter_price {drift.pk}" if asked else ""
            self.stdout.write(f"  {family_severity(drift):8} {drift.sentence}{fix}{enter}")
            for consequence in drift.consequences.all():
                self.stdout.write(f"           └ {consequence.sentence}")
