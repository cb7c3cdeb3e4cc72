"""`manage.py submit_batch FILE`: check a file of orders, record it, send it, confirm it."""

import getpass
import json
import sys
from argparse import ArgumentParser
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from django.utils import timezone

from broker.accounts import account_by_slug
from broker.errors import BrokerError
from broker.models import Account
from orders.batch_line import LineError
from orders.batch_report import report_batch
from orders.bracketing import exits_of
from orders.carrying_through import Progress, carry_through
from orders.checking import CheckedBatch, check_batch
from orders.errors import OrdersError
from orders.lifecycle import SubmissionState
from orders.models import Batch
from orders.recording import record_batch
from orders.releasing import NEW_YORK, next_time, release_batch
from ui.formatting import counted


class Command(BaseCommand):
    help = (
        "Check a CSV or JSON file of orders as a whole, record it, send it and confirm it. Exit status: 0 all orders "
        "accepted, 1 some denied, rejected or not confirmed, 2 unusable input and nothing recorded."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path, help="CSV with a header row, or JSON")
        parser.add_argument("--account", metavar="A", help="slug of the account (default: that of ALPACA_ENV)")
        parser.add_argument("--dry-run", action="store_true", help="only check: record and send nothing")
        parser.add_argument(
            "--cancel-exits-first", action="store_true", help="cancel what holds the shares that a line closes, first"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON document to stdout")
        parser.add_argument(
            "--at",
            metavar="TIME",
            help=f"record now, let the worker send later: HH:MM in New York, 'default' ({settings.DEFAULT_SEND_TIME}), "
            "or a date and time such as 2026-03-02T09:35",
        )

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            status = self._submit(options)
        except (BrokerError, OrdersError) as error:
            if options["json"]:
                self._print_refusal(options["account"], str(error))
            raise CommandError(str(error), returncode=2) from error
        except DatabaseError as error:
            raise CommandError(f"The database cannot be used: {error}.", returncode=2) from error
        if status:
            sys.exit(status)

    def _submit(self, options: dict[str, Any]) -> int:
        now = timezone.now()
        scheduled_for = planned_time(options["at"], now=now)
        data = read_file(options["file"])
        account = account_by_slug(options["account"])
        given = {"data": data, "filename": options["file"].name, "cancel_exits_first": options["cancel_exits_first"]}
        checked = check_batch(account=account, now=now, **given)
        self._say_findings(checked)
        if options["dry_run"] or not checked.is_usable:
            return self._end_unrecorded(account, checked, options)
        actor = f"command:{getpass.getuser()}"
        batch = record_batch(account=account, checked=checked, actor=actor, now=now, scheduled_for=scheduled_for)
        self._say(f"batch {batch.pk}: {counted(len(checked.lines), 'order')} recorded")
        if scheduled_for is not None:
            at = scheduled_for.astimezone(NEW_YORK)
            self._say(f"batch {batch.pk}: to be sent {at:%a %-d %b %Y %H:%M} New York time, by the worker")
            self._print(options, account, batch, checked)
            return 0
        status = self._carry_through(batch, actor)
        self._print(options, account, batch, checked)
        return status

    def _carry_through(self, batch: Batch, actor: str) -> int:
        """From here on the batch is recorded: whatever fails now, the workers go on with it."""
        try:
            release_batch(batch=batch, actor=actor, now=timezone.now())
            progress = carry_through(batch=batch, clock=timezone.now, tell=self._say_progress)
            batch.refresh_from_db()
            return self._verdict(batch, progress)
        except (BrokerError, DatabaseError) as error:
            self._say(f"batch {batch.pk} is recorded, but was left: {error} The worker goes on with it.")
            return 1

    def _say(self, line: str) -> None:
        self.stderr.write(line, ending="\n")

    def _say_progress(self, progress: Progress) -> None:
        waiting = " — looking for it at Alpaca" if progress.states[SubmissionState.UNCONFIRMED] else ""
        self._say(f"{progress}{waiting}")

    def _say_findings(self, checked: CheckedBatch) -> None:
        for error in checked.errors:
            self._say(f"{checked.name}: {error}")
        for warning in checked.warnings:
            self._say(f"warning: {warning}")
        symbols = {line.number: line.symbol for line in checked.lines}
        for number, exits in exits_of(checked.lines).items():
            self._say(
                f"line {number}: {symbols[number]} is a bracket, stop {exits.stop_loss:f}, target {exits.target:f}"
            )

    def _end_unrecorded(self, account: Account, checked: CheckedBatch, options: dict[str, Any]) -> int:
        if checked.errors:
            self._say(f"{checked.name} cannot be used, {len(checked.errors)} found wrong: nothing was recorded.")
        else:
            self._say(f"{checked.name} can be used: {counted(len(checked.lines), 'order')}. Nothing was recorded.")
        self._print(options, account, None, checked)
        return 2 if checked.errors else 0

    def _print(self, options: dict[str, Any], account: Account, batch: Batch | None, checked: CheckedBatch) -> None:
        state = batch.state if batch else "unusable" if checked.errors else "checked"
        if options["json"]:
            document = report_batch(
                account=account,
                batch=batch,
                state=state,
                errors=checked.errors,
                warnings=checked.warnings,
                lines=checked.lines,
            )
            self.stdout.write(json.dumps(document))
            return
        for order in batch.orders.order_by("line_number", "pk") if batch else ():
            filled = f", {order.filled_qty:f} filled at {order.filled_avg_price:f}" if order.filled_avg_price else ""
            refusal = f": {order.refusal}" if order.refusal else ""
            words = " ".join(filter(None, (order.get_submission_state_display(), order.status)))
            self.stdout.write(f"line {order.line_number}: {order}: {words}{filled}{refusal}")

    def _print_refusal(self, slug: str | None, text: str) -> None:
        account = Account(slug=slug or settings.ALPACA_ENV)
        errors = [LineError(None, "", text)]
        self.stdout.write(json.dumps(report_batch(account=account, batch=None, state="unusable", errors=errors)))

    def _verdict(self, batch: Batch, progress: Progress) -> int:
        accepted = batch.orders.filter(submission_state=SubmissionState.CONFIRMED).exclude(status="rejected").count()
        if accepted == progress.total:
            self._say(f"batch {batch.pk}: all {accepted} orders were accepted")
            return 0
        halted = " Sending is halted for this account." if batch.account.sending_halted else ""
        self._say(f"batch {batch.pk}: {accepted} of {progress.total} orders were accepted.{halted}")
        return 1


def read_file(path: Path) -> bytes:
    """Return the file's bytes, but not many more than are allowed."""
    try:
        with path.open("rb") as file:
            return file.read(settings.BATCH_FILE_MAX_BYTES + 1)
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.", returncode=2) from error


def planned_time(text: str | None, *, now: datetime) -> datetime | None:
    """Return the moment that `--at` names, or None for at once."""
    if text is None:
        return None
    text = settings.DEFAULT_SEND_TIME if text == "default" else text
    try:
        if "T" not in text and " " not in text:
            return next_time(text, now=now)
        planned = datetime.fromisoformat(text)
    except ValueError as error:
        expected = "HH:MM, 'default', or a date and time such as 2026-03-02T09:35"
        raise CommandError(f"--at: expected {expected}, found {text!r}.", returncode=2) from error
    planned = planned if planned.tzinfo else planned.replace(tzinfo=NEW_YORK)
    if planned <= now:
        raise CommandError(f"--at: expected a time to come, found {text!r}.", returncode=2)
    return planned
