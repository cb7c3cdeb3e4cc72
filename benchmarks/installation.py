"""An installation of a row's own, in a folder that goes: its database, and the product's real processes beside us.

This process is part of it, as a web server is: it has the same settings and the same database.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from benchmarks.databases import is_migrated, new_database
from benchmarks.history import ROOT

Found = TypeVar("Found")
KEY = "bench"
_WAIT_SECONDS = 60.0


class Installation:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """Run `manage.py` with these arguments beside us until the end."""
        with (self.folder / "processes.log").open("ab") as log:
            command = [sys.executable, str(ROOT / "manage.py"), *arguments]
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT)
        self._started.append(process)
        return process

    def printed(self) -> str:
        file = self.folder / "processes.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def wait_for(self, look: Callable[[], Found | None], what: str, *, pause: float = 0.02) -> Found:
        """Look until there is something. What the processes have printed is told where nothing comes."""
        deadline = time.monotonic() + _WAIT_SECONDS
        while not (found := look()):
            if time.monotonic() > deadline:
                sys.exit(f"{what} did not come; printed until then:\n{self.printed()}")
            time.sleep(pause)
        return found

    def end(self) -> None:
        for process in self._started:
            process.terminate()
        for process in self._started:
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
            if process.poll() is None:
                process.kill()
                process.wait()


@contextmanager
def installation(folder: Path, simulator_url: str, **environment: str) -> Iterator[Installation]:
    """Make it with a migrated database and the account `sim` at this simulator. Once in a process: Django is set up."""
    with new_database(folder) as database:
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "tradingsite.settings",
            "DATA_DIR": str(folder),
            "DATABASE_URL": database,
            "ALPACA_ENV": "sim",
            "ALPACA_BASE_URL": simulator_url,
            "ALPACA_API_KEY": KEY,
            "ALPACA_SECRET_KEY": "sim",
            "LOG_LEVEL": "WARNING",
            **environment,
        }
        import django
        from django.core.management import call_command
        from django.db import connections

        django.setup()
        if not is_migrated():
            call_command("migrate", verbosity=0)
        made = Installation(folder)
        try:
            yield made
        finally:
            made.end()
            connections.close_all()
