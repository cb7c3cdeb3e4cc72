"""`manage.py drift_kinds`: write docs/drift-kinds.md from the code, or check that it is not stale."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from reconciliation.kind_guide import document


def path_of_document() -> Path:
    return Path(settings.BASE_DIR) / "docs" / "drift-kinds.md"


class Command(BaseCommand):
    help = "Write docs/drift-kinds.md from the code. With --check: exit 1 if the file says something else."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="write nothing")

    def handle(self, *_args: Any, **options: Any) -> None:
        path, text = path_of_document(), document()
        if options["check"]:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                raise CommandError(f"{path.name} is stale: run `manage.py drift_kinds`.", returncode=1)
            self.stdout.write(f"{path.name} says what the code does.")
            return
        path.write_text(text, encoding="utf-8")
        self.stdout.write(f"{path.name} written.")
