"""`manage.py restore_backup`."""

import getpass
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from upkeep.errors import UpkeepError
from upkeep.restoring import check, restore


class Command(BaseCommand):
    help = (
        "Replace the database by a backup. What is replaced is kept as a backup too; sending is halted for every "
        "account until a person has seen a full run, because Alpaca went on meanwhile."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--force", action="store_true", help="do not ask")

    def handle(self, *_args: Any, **options: Any) -> None:
        path, now = options["file"], timezone.now()
        try:
            manifest = check(path, now=now)
            if not options["force"] and not _is_wanted(manifest.made_at):
                raise UpkeepError("Nothing was changed.")
            restored = restore(path, actor=f"system:{getpass.getuser()}", now=now)
        except UpkeepError as error:
            raise CommandError(str(error), returncode=2) from error
        self.stdout.write(f"Restored as of {manifest.made_at}: {sum(manifest.rows.values()):,} rows.")
        if restored.replaced:
            self.stdout.write(f"What was there before is in {restored.replaced}.")
        if restored.accounts:
            self.stdout.write(
                f"Sending is halted for {', '.join(restored.accounts)}. Start the programs; a full run is made first. "
                "Look at what it finds, then switch sending on again on the page System."
            )


def _is_wanted(made_at: str) -> bool:
    try:
        answer = input(f"Replace the whole database by the backup of {made_at}? Type yes: ")
    except EOFError:
        raise UpkeepError("Nobody is there to ask. Give --force to restore without a question.") from None
    return answer.strip().lower() == "yes"
