"""`manage.py verify`: positions rebuilt from fills against the stored ones and those of Alpaca."""

import sys
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from reconciliation.account_option import add_account_option, as_json, chosen_account, refusals
from reconciliation.verifying import verify_account
from ui.formatting import counted


class Command(BaseCommand):
    help = (
        "Rebuild positions from fills, compare them with the stored ones and with Alpaca, and add up the cash. "
        "Exit status: 0 equal, 1 not, 2 incomplete."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_account_option(parser)
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *_args: Any, **options: Any) -> None:
        with refusals():
            found = verify_account(account=chosen_account(options["account"]), now=timezone.now())
        if options["json"]:
            self.stdout.write(as_json({**asdict(found), "equal": found.is_equal}))
        else:
            for row in found.stored:
                self.stdout.write(f"{row['symbol']} {row['field']}: stored {row['stored']}, rebuilt {row['rebuilt']}")
            for row in found.broker:
                self.stdout.write(f"{row['symbol']}: rebuilt {row['rebuilt']}, Alpaca {row['broker']}")
            for row in found.cash:
                self.stdout.write(f"cash: entries and fills add up to {row['added_up']}, Alpaca has {row['broker']}")
            self.stdout.write(f"{counted(found.positions, 'position')}: {'equal' if found.is_equal else 'NOT equal'}.")
        sys.exit(0 if found.is_equal else 1)
