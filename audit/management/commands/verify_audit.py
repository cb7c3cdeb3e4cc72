"""`manage.py verify_audit`: is the journal as it was written?"""

import json
import logging
import re
import sys
from argparse import ArgumentParser, ArgumentTypeError
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand

from audit.chain import Head
from audit.verifying import Verification, verify_chain
from ui.formatting import counted

logger = logging.getLogger(__name__)


def _head(text: str) -> Head:
    if not (found := re.fullmatch(r"(\d{1,18}):([0-9a-f]{64})", text.strip())):
        raise ArgumentTypeError(f"{text!r} is no head; one looks like 1234:9f86d0…, as this command prints it")
    return Head(int(found[1]), found[2])


class Command(BaseCommand):
    help = (
        "Prove that no entry of the audit journal was changed, removed, put in or moved. "
        "Exit status: 0 proven, 1 broken, 2 bad input."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--head",
            type=_head,
            action="append",
            default=[],
            metavar="SEQUENCE:DIGEST",
            help="an end of the chain that was noted elsewhere (the daily report has it); may be given several times",
        )
        parser.add_argument(
            "--since", type=int, default=0, metavar="SEQUENCE", help="begin after this link, which was proven before"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *_args: Any, **options: Any) -> None:
        found = verify_chain(since=max(options["since"], 0), heads=options["head"])
        if options["json"]:
            self.stdout.write(json.dumps(_as_json(found)))
        else:
            self._tell(found)
        # The log may be kept where the database's owner cannot write: then it proves the end of the chain.
        logger.info("audit journal %s, head %s", "proven" if found.is_proven else "BROKEN", found.head)
        sys.exit(0 if found.is_proven else 1)

    def _tell(self, found: Verification) -> None:
        if found.broken:
            self.stdout.write(f"BROKEN. {found.broken.sentence}")
            self.stdout.write("Compare with the newest back-up that is proven, and find out who could write there.")
        if found.unguarded:
            self.stdout.write(
                f"NOT GUARDED. The database lacks {', '.join(found.unguarded)}: entries can be changed. "
                "Put the triggers back: `manage.py migrate audit 0002`, then `manage.py migrate`."
            )
        words = "proven" if found.is_proven else "read before that"
        self.stdout.write(f"{counted(found.entries, 'entry', 'entries')} {words}. Head: {found.head}")


def _as_json(found: Verification) -> dict[str, Any]:
    return {
        "state": "proven" if found.is_proven else "broken",
        "entries": found.entries,
        "head": asdict(found.head),
        "broken": asdict(found.broken) if found.broken else None,
        "missing_triggers": found.unguarded,
    }
