"""Other processes on the test's own database."""

import os
import subprocess
from pathlib import Path
from typing import Any

from django.conf import settings

from tests.databases import address_in_use
from tests.simulation import ROOT, SimAccount
from tests.warm_processes import WarmProcess, start_warm


def start_executor(sim: SimAccount, batch_id: int, *, go: Path | None = None, **environment: Any) -> WarmProcess:
    return start_module(sim, "tests.orders.executor", str(batch_id), *([str(go)] if go else []), **environment)


def start_module(sim: SimAccount, module: str, *arguments: str, **environment: Any) -> WarmProcess:
    """Start `python -m module` on the test's own database, as the account `sim`."""
    given = {"DATABASE_URL": address_in_use(), "DATA_DIR": str(settings.DATA_DIR)}
    given |= {"DJANGO_SETTINGS_MODULE": "tradingsite.settings", **sim.environment}
    given |= {name: str(value) for name, value in environment.items()}
    return start_warm(module, *arguments, folder=ROOT, environment=os.environ | given)


def end(process: "subprocess.Popen[str] | WarmProcess") -> tuple[int, str]:
    """Wait for its end; return its exit status and what it wrote."""
    try:
        output, _ = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    return process.wait(), output
