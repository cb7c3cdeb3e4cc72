"""Other processes on the test's own database: one that executes, one that holds the write lock."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.db import connection

from tests.simulation import ROOT, SimAccount

_LOCKER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
connection.execute("COMMIT")
"""


def database_url() -> str:
    used = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{used['NAME']}"
    login = f"{quote(used['USER'])}:{quote(used['PASSWORD'])}" if used["USER"] else ""
    return f"postgres://{login}@{used['HOST']}:{used['PORT']}/{used['NAME']}"


def start_executor(
    sim: SimAccount, batch_id: int, *, go: Path | None = None, **environment: Any
) -> subprocess.Popen[str]:
    return start_module(sim, "tests.orders.executor", str(batch_id), *([str(go)] if go else []), **environment)


def start_module(sim: SimAccount, module: str, *arguments: str, **environment: Any) -> subprocess.Popen[str]:
    """Start `python -m module` on the test's own database, as the account `sim`."""
    command = [sys.executable, "-m", module, *arguments]
    given = {"DATABASE_URL": database_url(), "DATA_DIR": str(settings.DATA_DIR)}
    given |= {"DJANGO_SETTINGS_MODULE": "tradingsite.settings", **sim.environment}
    given |= {name: str(value) for name, value in environment.items()}
    return subprocess.Popen(
        command, cwd=ROOT, env=os.environ | given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def hold_write_lock(seconds: float) -> subprocess.Popen[str]:
    """Return when another process holds the write lock of the test's database; it lets go by itself."""
    return start_locker(connection.settings_dict["NAME"], seconds)


def start_locker(database: Path | str, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _LOCKER, str(database), str(seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    return process


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for its end; return its exit status and what it wrote."""
    try:
        output, _ = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    return process.returncode, output
