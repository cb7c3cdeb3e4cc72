"""The demo: simulator, web server, worker and stream from one command, with the incident loaded.

Steps of a start: 1. take the folder's lock; 2. end what outlived an earlier demo; 3. take the web port; 4. start the
simulator; 5. bring the database up to date, with people, schedules and the incident; 6. start web, worker and stream;
7. wait until all answer; 8. write demo.json and say where it is. Whatever is refused is refused before step 4.
"""

import contextlib
import json
import os
import socket
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from broker.accounts import default_account
from broker.models import Account
from broker.stream_state import stream_health
from reconciliation.models import Run
from reconciliation.running import request_run
from tradingsite.demo_people import MAY, Login, ensure_logins
from tradingsite.incident.loading import load_database, write_scenario
from tradingsite.installation import DEMO_FILE, DEMO_USERS_FILE, run_folder
from tradingsite.locks import FolderLock
from tradingsite.preconditions import ADDRESS, free_port, listening_socket, refusal
from tradingsite.private_file import write_private
from tradingsite.processes import Program, Supervisor, say
from tradingsite.schedules import sync_schedules
from tradingsite.simulator import simulator_lock, simulator_program, simulator_url
from tradingsite.survivors import Register, sweep
from work.heartbeat import last_beat

READY_WITHIN_SECONDS = 90.0
KEY_ID = "sim"


def run_demo(*, port: int) -> None:
    data_dir = Path(settings.DATA_DIR)
    _require_simulated_money()
    locks = _take_locks(data_dir)
    (data_dir / DEMO_FILE).unlink(missing_ok=True)  # of a demo that was killed
    if survivors := sweep(run_folder(), data_dir=data_dir):
        say(f"demo: ended {survivors} processes that had outlived an earlier demo")
    listener = listening_socket(port)
    try:
        with Supervisor(register=Register(run_folder())) as supervisor:
            try:
                Demo(supervisor, listener, data_dir).run()
            finally:
                (data_dir / DEMO_FILE).unlink(missing_ok=True)
                say("demo: stopping")
    finally:
        listener.close()
        for lock in locks:
            lock.give_back()
    say("demo: stopped")


def _require_simulated_money() -> None:
    if settings.ALPACA_ENV != "sim":
        raise refusal(
            f"The demo trades on its own simulator only, but ALPACA_ENV is {settings.ALPACA_ENV!r}. Unset it."
        )


def _take_locks(data_dir: Path) -> list[FolderLock]:
    demo, simulator = FolderLock(data_dir / "demo.lock"), simulator_lock()
    if not demo.take():
        raise refusal(
            f"A demo already runs in {data_dir} {_whereabouts(data_dir)}. "
            "Stop it, or give another folder with --data-dir."
        )
    if not simulator.take():
        raise refusal(f"A simulator already runs in {data_dir}. Stop it, or give another folder with --data-dir.")
    return [demo, simulator]


def _whereabouts(data_dir: Path) -> str:
    with contextlib.suppress(OSError, ValueError, KeyError):
        return f"at {json.loads((data_dir / DEMO_FILE).read_text())['url']}"
    return "and is just starting"


class Demo:
    def __init__(self, supervisor: Supervisor, listener: socket.socket, data_dir: Path) -> None:
        self._supervisor = supervisor
        self._listener = listener
        self._data_dir = data_dir
        self._began = time.monotonic()
        self._began_at = timezone.now()
        self._web_port = int(listener.getsockname()[1])
        self._url = f"http://{ADDRESS}:{self._web_port}"
        self._simulator_port = free_port()

    def run(self) -> None:
        self._start_simulator()
        logins = self._prepare_database()
        if self._supervisor.must_stop:
            return
        self._start_the_rest()
        self._wait_until_ready()
        if not self._supervisor.must_stop:
            self._announce(logins)
            self._supervisor.run()

    def _start_simulator(self) -> None:
        scenario = write_scenario(self._data_dir / "incident-scenario.json", key_id=KEY_ID)
        self._supervisor.start(
            simulator_program(
                port=self._simulator_port,
                port_file=self._data_dir / "simulator.port",
                options=["--scenario", str(scenario)],
            )
        )

    def _prepare_database(self) -> list[Login]:
        say("demo: preparing the database")
        call_command("migrate", verbosity=0, interactive=False)
        self._refuse_a_real_record()
        logins = ensure_logins(self._data_dir / DEMO_USERS_FILE)
        sync_schedules()
        if load_database(account=default_account(), now=timezone.now()):
            say("demo: loaded the record of 6 November 2025 as it was that morning")
            # The first look at it: whoever opens the page finds that day found and explained.
            request_run(
                account=default_account(), trigger=Run.Trigger.DEMAND, requested_by="system:demo", now=timezone.now()
            )
        connection.close()
        return logins

    def _refuse_a_real_record(self) -> None:
        other = Account.objects.exclude(environment="sim").first()
        if other is not None:
            raise refusal(
                f"This database keeps the record of the account {other.slug!r}: the demo needs one of its own."
            )

    def _start_the_rest(self) -> None:
        descriptor = self._listener.fileno()
        self._supervisor.start(self._manage("web", "--fd", str(descriptor), pass_fds=(descriptor,), grace=8))
        self._supervisor.start(self._manage("worker", grace=15))
        self._supervisor.start(self._manage("stream", grace=5))

    def _manage(self, name: str, *arguments: str, grace: float, pass_fds: tuple[int, ...] = ()) -> Program:
        return Program(
            name=name,
            command=[sys.executable, str(settings.BASE_DIR / "manage.py"), name, *arguments],
            environment={
                "DATA_DIR": str(self._data_dir),
                "ALPACA_BASE_URL": simulator_url(self._simulator_port),
                "ALPACA_API_KEY": KEY_ID,
                "ALPACA_SECRET_KEY": KEY_ID,
                "SITE_URL": self._url,
            },
            grace=grace,
            pass_fds=pass_fds,
        )

    def _wait_until_ready(self) -> None:
        deadline = self._began + READY_WITHIN_SECONDS
        while not self._supervisor.must_stop and (missing := self._not_ready()):
            if time.monotonic() > deadline:
                raise refusal(f"The demo is not ready after {READY_WITHIN_SECONDS:.0f} s: {missing} does not answer.")
            self._supervisor.step()
            time.sleep(0.1)
        connection.close()

    def _not_ready(self) -> str:
        """Name the first part that does not answer yet."""
        if not _answers(self._simulator_port, "/v2/clock"):
            return "the simulator"
        if not _answers(self._web_port, "/healthz"):
            return "the web server"
        if not (self._has_beaten("ticker") and self._has_beaten("worker")):
            return "the worker"
        return "" if stream_health(default_account().pk, timezone.now()).is_live else "the stream"

    def _has_beaten(self, name: str) -> bool:
        at: datetime | None = last_beat(name)
        return at is not None and at > self._began_at

    def _announce(self, logins: list[Login]) -> None:
        facts: dict[str, Any] = {
            "url": self._url, "simulator_url": simulator_url(self._simulator_port), "pid": os.getpid(), "users": logins,
        }  # fmt: skip
        write_private(self._data_dir / DEMO_FILE, facts)
        rule = "-" * 78
        people = [f"  {one['username']:<8}{one['password']:<16}{MAY[one['group']]}" for one in logins]
        lines = [rule, f"  {self._url}/", "", *people, "", f"  Data: {self._data_dir}   Ctrl-C ends everything.", rule]
        say("\n".join([f"demo: ready after {time.monotonic() - self._began:.1f} s", *lines]))


def _answers(port: int, path: str) -> bool:
    """True once it speaks HTTP: what it says does not matter."""
    request = f"GET {path} HTTP/1.1\r\nHost: {ADDRESS}\r\nConnection: close\r\n\r\n".encode()
    try:
        with socket.create_connection((ADDRESS, port), timeout=1) as probe:
            probe.sendall(request)
            return probe.recv(8).startswith(b"HTTP/1.")
    except OSError:
        return False
