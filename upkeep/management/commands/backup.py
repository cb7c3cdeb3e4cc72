"""`manage.py backup`."""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from upkeep.backing_up import make_backup
from upkeep.backup_file import read_manifest
from upkeep.errors import UpkeepError


class Command(BaseCommand):
    help = "Write a backup of the whole database to one file, while everything runs."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--to", type=Path, help="folder or .zip file; without it BACKUP_DIR")
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            path = make_backup(to=options["to"], now=timezone.now())
        except UpkeepError as error:
            raise CommandError(str(error), returncode=2) from error
        manifest = read_manifest(path)
        rows, size = sum(manifest.rows.values()), path.stat().st_size
        if options["json"]:
            document = {"file": str(path), "bytes": size, "rows": rows, "made_at": manifest.made_at}
            self.stdout.write(json.dumps(document))
            return
        self.stdout.write(f"{path}: {rows:,} rows, {size:,} bytes. Keep a copy on another computer.")
