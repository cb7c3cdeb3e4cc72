"""`manage.py report [RUN]`: the reconciliation report of a run."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from reconciliation.account_option import add_account_option, as_json, chosen_account, refusals
from reconciliation.errors import ReconciliationError
from reconciliation.models import Run
from reconciliation.report import as_document, as_html, as_markdown, build_report


class Command(BaseCommand):
    help = "Print the reconciliation report of a run (default: the account's last finished run)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_account_option(parser)
        parser.add_argument("run", nargs="?", type=int, help="the run's number")
        parser.add_argument("--format", choices=["md", "html", "json"], default="md")

    def handle(self, *_args: Any, **options: Any) -> None:
        with refusals():
            report = build_report(_run(options["run"], options["account"]))
        match options["format"]:
            case "md":
                self.stdout.write(as_markdown(report))
            case "html":
                self.stdout.write(as_html(report))
            case _:
                self.stdout.write(as_json(as_document(report)))


def _run(number: int | None, slug: str | None) -> Run:
    runs = Run.objects.finished().select_related("account")
    if number is None:
        account = chosen_account(slug)
        run = runs.filter(account=account).first()
        if run is None:
            raise ReconciliationError(f"Account {account.slug} was never reconciled. Start with `manage.py reconcile`.")
        return run
    run = runs.filter(pk=number).first()
    if run is None:
        raise ReconciliationError(f"There is no finished run {number}.")
    return run
