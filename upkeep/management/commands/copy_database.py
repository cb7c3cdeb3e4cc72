"""`manage.py copy_database`."""

import json
from typing import Any

import environ
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from upkeep.errors import UpkeepError
from upkeep.moving import copy_database


class Command(BaseCommand):
    help = (
        "Copy the whole database to another, empty one, row for row, and compare every table on both sides. "
        "Stop the workers first; then set DATABASE_URL to the new one."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--from", dest="source", help="address of a database; without it the installation's own")
        parser.add_argument("--to", required=True, help="postgres://user:password@host/name or sqlite:///file")
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *_args: Any, **options: Any) -> None:
        def say(text: str) -> None:
            if not options["json"]:
                self.stdout.write(text)

        try:
            source = _settings_of(options["source"]) if options["source"] else dict(settings.DATABASES["default"])
            target = _settings_of(options["to"])
            moved = copy_database(source=source, target=target, now=timezone.now(), say=say)
        except UpkeepError as error:
            raise CommandError(str(error), returncode=2) from error
        rows = sum(table.rows for table in moved)
        if options["json"]:
            tables = [{"table": one.table, "rows": one.rows, "digest": one.digest} for one in moved]
            self.stdout.write(json.dumps({"rows": rows, "tables": tables}))
            return
        say(f"{rows:,} rows in {len(moved)} tables are the same on both sides. Now set DATABASE_URL to the new one.")


def _settings_of(address: str) -> dict[str, Any]:
    """The address may hold a password, so a refusal never repeats it."""
    try:
        found = dict(environ.Env.db_url_config(address))
    except (ImproperlyConfigured, KeyError, ValueError) as error:
        raise UpkeepError("An address is postgres://user:password@host/name or sqlite:///file.") from error
    kind = str(found.get("ENGINE", "")).rpartition(".")[2]
    if kind not in {"sqlite3", "postgresql"} or not found.get("NAME"):
        raise UpkeepError("An address is postgres://user:password@host/name or sqlite:///file.")
    if kind == "sqlite3":
        found["OPTIONS"] = settings.SQLITE_OPTIONS
    return found
