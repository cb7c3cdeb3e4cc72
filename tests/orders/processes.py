"""Other processes on the test's own database."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from django.conf import settings

from tests.databases import address_in_use
from tests.simulation import ROOT, SimAccount


def start_executor(
    sim: SimAccount, batch_id: int, *, go: Path | None = None, **environment: Any
) -> subprocess.Popen[str]:
    return start_module(sim, "tests.orders.executor", str(batch_id), *([str(go)] if go else []), **environment)


def start_module(sim: SimAccount, module: str, *arguments: str, **environment: Any) -> subprocess.Popen[str]:
    """Start `python -m module` on the test's own database, as the account `sim`."""
    command = [sys.executable, "-m", module, *arguments]
    given = {"DATABASE_URL": address_in_use(), "DATA_DIR": str(settings.DATA_DIR)}
    given |= {"DJANGO_SETTINGS_MODULE": "tradingsite.settings", **sim.environment}
    given |= {name: str(value) for name, value in environment.items()}
    return subprocess.Popen(
        command, cwd=ROOT, env=os.environ | given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for its end; return its exit status and what it wrote."""
    try:
        output, _ = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    return process.returncode, output
