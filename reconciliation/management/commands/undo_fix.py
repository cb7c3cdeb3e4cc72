"""`manage.py undo_fix ID --as USER`: reverse a backfill. Exit 0, or 2 refused."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from reconciliation.account_option import refusals
from reconciliation.errors import FixRefused
from reconciliation.management.commands.backfill import approver
from reconciliation.models import Fix
from reconciliation.undoing import undo_fix


class Command(BaseCommand):
    help = "Reverse a backfill: put the database back as it was before the fix. Exit status: 0, or 2 when refused."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", type=int, help="the fix")
        parser.add_argument("--as", dest="user", required=True, metavar="USER", help="the person who undoes it")
        parser.add_argument("--reason", default="", help="why; kept in the journal")

    def handle(self, *_args: Any, **options: Any) -> None:
        with refusals():
            actor = approver(options["user"], act="undo")
            fix = Fix.objects.select_related("account").filter(pk=options["id"]).first()
            if fix is None:
                raise FixRefused(f"There is no fix {options['id']}.")
            fix = undo_fix(fix=fix, actor=actor, now=timezone.now(), reason=options["reason"])
        said = "undoing requested, another person must confirm" if fix.undoing_awaits_second_person else "undone"
        self.stdout.write(f"fix {fix.pk}  {said}: {fix.title}")
