"""One installation in a folder of its own, run by real processes and looked at from outside."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import psutil

from tests.databases import ask, drop_database, is_postgresql, new_database
from tests.migrated import copy_migrated
from tests.tradingsite.waiting import Value, kill_all, processes_of, wait_for

ROOT = Path(__file__).parents[2]
MANAGE = [sys.executable, str(ROOT / "manage.py")]


class Installation:
    def __init__(self, data_dir: Path, **environment: str) -> None:
        self.data_dir = data_dir
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith(("ALPACA", "DJANGO", "DATABASE"))
        }
        given = environment.get("DATABASE_URL")
        self.database = given or new_database(data_dir)
        self._is_database_ours = not given
        if is_postgresql(self.database):  # where it is SQLite, the installation finds its own file
            environment = {"DATABASE_URL": self.database} | environment
        self.environment = clean | {"DATA_DIR": str(data_dir), "PYTHONUNBUFFERED": "1"} | environment
        self.log = data_dir.with_suffix(".log")
        self._started: list[subprocess.Popen[bytes]] = []

    def set_up(self) -> None:
        """Leave what `manage.py migrate` leaves. That the command itself does it, the demos from nothing show."""
        if is_postgresql(self.database):
            assert self.run("migrate", "-v", "0", within=300).returncode == 0
            return
        self.data_dir.mkdir(parents=True, exist_ok=True)
        copy_migrated(Path(self.database.removeprefix("sqlite:///")))

    def run(self, *arguments: str, within: float = 60) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*MANAGE, *arguments], env=self.environment, capture_output=True, text=True, timeout=within, check=False
        )

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen([*MANAGE, *arguments], env=self.environment, stdout=log, stderr=log)
        self._started.append(process)
        return process

    def printed(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def wait_for(self, condition: Callable[[], Value | Literal[False] | None], *, within: float, what: str) -> Value:
        """Return the condition's first true value; a failure tells what the installation has printed."""
        try:
            return wait_for(condition, within=within, what=what)
        except AssertionError as error:
            raise AssertionError(f"{error}; printed until then:\n{self.printed()}") from None

    def wait_for_text(self, text: str, *, within: float = 15) -> None:
        self.wait_for(lambda: text in self.printed(), within=within, what=f"{text!r} in the output")

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return ask(self.database, sql, *values)

    def processes(self) -> list[psutil.Process]:
        return processes_of(self.data_dir)

    def clean_up(self) -> None:
        for process in self._started:
            kill_all(process, self.data_dir)
        if self._is_database_ours:
            drop_database(self.database)
