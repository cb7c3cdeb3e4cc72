"""`manage.py fixes`: proposed fixes with before and after."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from reconciliation.account_option import as_json, refusals
from reconciliation.columns import columns
from reconciliation.documents import fix_document
from reconciliation.errors import ReconciliationError
from reconciliation.models import Fix, Run


class Command(BaseCommand):
    help = "List the proposed fixes with what the database says now, what Alpaca says, and what it will say after."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--run", type=int, metavar="R", help="only those that are linked to this run's drift")
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *_args: Any, **options: Any) -> None:
        with refusals():
            fixes = Fix.objects.proposed().select_related("account", "run")
            if options["run"] is not None:
                if not Run.objects.filter(pk=options["run"]).exists():
                    raise ReconciliationError(f"There is no run {options['run']}.")
                fixes = fixes.filter(drifts__last_run_id=options["run"]).distinct()
            found = list(fixes)
        if options["json"]:
            self.stdout.write(as_json({"fixes": [fix_document(fix) for fix in found]}))
            return
        for fix in found:
            acts = "  [acts at Alpaca]" if fix.acts_at_broker else ""
            self.stdout.write(f"fix {fix.pk}  {fix.title}{acts}")
            for row in columns(fix):
                sides = "".join(f"  {text or '–':>22}" for text in (row.database, row.broker, row.after))
                self.stdout.write(f"    {row.label:28}{sides}")
        if not found:
            self.stdout.write("No fix is proposed.")
