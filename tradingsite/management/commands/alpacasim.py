"""`manage.py alpacasim`."""

import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from tradingsite.installation import DEMO_FILE, run_folder
from tradingsite.preconditions import refusal
from tradingsite.processes import Child, Supervisor
from tradingsite.simulator import DEFAULT_PORT, Whereabouts, simulator_lock, simulator_program
from tradingsite.survivors import Register, sweep

CLOCKS = ("open", "nyse", "closed")
HANDED_ON = ("latency_ms", "rate_limit", "clock", "seed")


class Command(BaseCommand):
    help = "Run the simulated Alpaca alone, on loopback; its state is kept in DATA_DIR."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"default {DEFAULT_PORT}; 0: any free one")
        parser.add_argument("--scenario", type=Path, help="what to begin with (JSON), while there is no state yet")
        parser.add_argument("--latency-ms", type=float, help="added to every answer")
        parser.add_argument("--rate-limit", type=int, help="requests a minute, 0 for none")
        parser.add_argument("--clock", choices=CLOCKS, help="always open, New York hours, or never open")
        parser.add_argument("--seed", type=int, help="of the price paths")

    def handle(self, *_args: Any, **options: Any) -> None:
        lock = simulator_lock()
        if not lock.take():
            raise refusal(f"A simulator already runs in {settings.DATA_DIR}. Stop it, or choose another DATA_DIR.")
        # No demo runs, since it would hold the lock: its note, if it was killed, would lead others astray.
        (settings.DATA_DIR / DEMO_FILE).unlink(missing_ok=True)
        sweep(run_folder(), data_dir=settings.DATA_DIR)
        port_file = settings.DATA_DIR / "simulator.port"
        port_file.unlink(missing_ok=True)
        program = simulator_program(
            port=options["port"], port_file=port_file, options=_handed_on(options), prefix=False
        )
        whereabouts = Whereabouts()
        try:
            with Supervisor(register=Register(run_folder())) as supervisor:
                status = _watch(supervisor, supervisor.start(program), port_file, whereabouts)
        finally:
            whereabouts.remove()
            port_file.unlink(missing_ok=True)
        if status:
            sys.exit(2 if status == 2 else 1)


def _handed_on(options: dict[str, Any]) -> list[str]:
    given = {name: options[name] for name in ("scenario", *HANDED_ON) if options[name] is not None}
    return [part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", str(value))]


def _watch(supervisor: Supervisor, child: Child, port_file: Path, whereabouts: Whereabouts) -> int:
    """Say where it listens as soon as it does; return its exit status when it ends by itself, else 0."""
    is_announced = False
    while not supervisor.must_stop:
        if child.process is None or not child.is_running:
            return child.process.returncode if child.process else 1
        if not is_announced and port_file.exists() and (text := port_file.read_text().strip()):
            whereabouts.announce(port=int(text), pid=child.process.pid)
            is_announced = True
        time.sleep(0.05)
    return 0
