"""`manage.py check_broker` against the least that it could be: python -m benchmarks.start

The least is one process that imports alpaca-py's client for trading, as anybody would, and runs an empty command of a
new Django project. Both are processor time of fresh processes, in turn; the simulator answers at once.
"""

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.databases import is_migrated, new_database
from benchmarks.history import ROOT, venue
from benchmarks.rows import Figure, Scale, run_alone, say

GOAL = 1.3
#: What `startproject` installs, and a command that does nothing.
LEAST = """
import alpaca.trading.client
import django
from django.conf import settings
from django.core.management import BaseCommand, call_command

apps = ("admin", "auth", "contenttypes", "sessions", "messages", "staticfiles")
settings.configure(INSTALLED_APPS=[f"django.contrib.{app}" for app in apps], USE_TZ=True)
django.setup()

class Command(BaseCommand):
    def handle(self, *args, **options):
        pass

call_command(Command())
"""


def measure(scale: Scale) -> list[Figure]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with venue(folder, {"sim": {"cash": "100000"}}) as url, new_database(folder) as database:
            environment = os.environ | {
                "DATA_DIR": str(folder), "DATABASE_URL": database, "ALPACA_ENV": "sim", "ALPACA_BASE_URL": url,
            }  # fmt: skip
            # What Python has compiled is kept, as in any installation.
            environment.pop("PYTHONDONTWRITEBYTECODE", None)
            manage = [sys.executable, str(ROOT / "manage.py")]
            if not is_migrated():
                subprocess.run([*manage, "migrate", "-v", "0"], cwd=ROOT, env=environment, check=True)
            ways = {"check_broker": [*manage, "check_broker", "--json"], "least": [sys.executable, "-c", LEAST]}
            taken: dict[str, list[float]] = {name: [] for name in ways}
            # The first one fills caches; where figures do not count it does for one.
            for number in range(1, 2) if scale.is_quick else range(scale.repetitions + 1):
                say(f"start {number}")
                for name, command in ways.items():
                    seconds = _processor_seconds(command, environment)
                    taken[name].extend([seconds] if number else [])
    return [
        Figure(
            row="start",
            what="manage.py check_broker",
            value=median(taken["check_broker"]) * 1000,
            unit="ms",
            goal=GOAL,
            bound=median(taken["least"]) * 1000,
            bound_what="import alpaca.trading.client and an empty Django command",
            note="processor time; the product leaves out pandas, which alpaca-py imports",
        )
    ]


def _processor_seconds(command: list[str], environment: dict[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    run_alone(measure)
