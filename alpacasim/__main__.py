"""`python -m alpacasim`: the simulator as a process of its own."""

import argparse
import contextlib
import errno
import json
import socket
import sqlite3
import sys
from pathlib import Path
from typing import Any

from . import scenario
from .clock import MODES, OPEN
from .limits import RateLimit
from .scenario import ScenarioError
from .server import LOOPBACK, bind, make_server
from .simulator import Simulator


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="alpacasim", description="An Alpaca-compatible paper venue on loopback.")
    made.add_argument("--host", default="127.0.0.1", help="a loopback address (default: %(default)s)")
    made.add_argument("--port", type=int, default=8788, help="0 picks a free one (default: %(default)s)")
    made.add_argument("--port-file", type=Path, help="where to write the port when ready")
    made.add_argument("--scenario", type=Path, help="what to begin with, as JSON")
    made.add_argument("--state", type=Path, help="where to keep everything that happens (SQLite)")
    made.add_argument("--latency-ms", type=float, default=0, help="added to every answer (default: %(default)s)")
    made.add_argument("--fill-delay-ms", type=float, default=3, help="from submit to fill (default: %(default)s)")
    made.add_argument(
        "--rate-limit", type=int, default=RateLimit.DEFAULT, help="requests a minute, 0 for none (default: %(default)s)"
    )
    made.add_argument("--clock", choices=MODES, default=OPEN, help="always open, New York hours, or never open")
    made.add_argument("--seed", type=int, default=0, help="of the price paths (default: %(default)s)")
    return made


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    if options.host not in LOOPBACK:
        return _refuse(f"alpacasim serves loopback only: {options.host} is not one of {', '.join(LOOPBACK)}.")
    try:
        document = _read_scenario(options.scenario)
        listener = bind(options.host, options.port)
    except ScenarioError as error:
        return _refuse(str(error))
    except (OSError, OverflowError) as error:
        return _refuse(_why_not_bound(error, options.port))
    with contextlib.closing(listener):
        try:
            simulator = _make_simulator(options)
            _begin(simulator, document, options.state)
        except (OSError, sqlite3.Error) as error:
            return _refuse(f"The state file {options.state} cannot be used: {error}.")
        except ScenarioError as error:
            return _refuse(f"The scenario {options.scenario} cannot be loaded: {error}")
        _serve(simulator, options, listener)
    return 0


def _make_simulator(options: argparse.Namespace) -> Simulator:
    return Simulator(
        state=options.state,
        latency_ms=options.latency_ms,
        rate_limit=options.rate_limit,
        clock=options.clock,
        seed=options.seed,
        fill_delay_ms=options.fill_delay_ms,
    )


def _serve(simulator: Simulator, options: argparse.Namespace, listener: socket.socket) -> None:
    server = make_server(simulator)
    # Before the line that says it is ready: whoever reads it may end the process at once.
    server.heed_signals()
    server.on_started = lambda: _announce(options, listener)
    server.run(sockets=[listener])


def _announce(options: argparse.Namespace, listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    if options.port_file:
        options.port_file.write_text(f"{port}\n")
    host = f"[{options.host}]" if ":" in options.host else options.host
    _say(f"alpacasim listening on http://{host}:{port}")


def _read_scenario(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ScenarioError(f"The scenario {path} cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise ScenarioError(f"The scenario {path} must be a JSON object.")
    return document


def _begin(simulator: Simulator, document: dict[str, Any] | None, state: Path | None) -> None:
    if document is None:
        return
    if simulator.restored:
        _say(f"alpacasim: {state} already holds an installation, the scenario is not loaded again")
        return
    scenario.load(simulator, document)


def _why_not_bound(error: Exception, port: int) -> str:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return f"Port {port} is in use by another program; choose another with --port."
    return f"Port {port} cannot be used: {error}."


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _refuse(sentence: str) -> int:
    sys.stderr.write(f"{sentence}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
