"""The simulator as a process: how it starts, refuses and ends, and what survives a kill."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from .conftest import connect, wait_for

ROOT = Path(__file__).resolve().parents[2]
ORDER = {"symbol": "KO", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}
KEYS = {"APCA-API-KEY-ID": "sim", "APCA-API-SECRET-KEY": "sim"}


def command(*options: Any) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "alpacasim", *map(str, options)]


class Process:
    def __init__(self, *options: Any) -> None:
        self._process = subprocess.Popen(
            command("--port", 0, "--rate-limit", 0, *options),
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.lines: list[str] = []
        assert self._process.stdout is not None
        while not (self.lines and " listening on " in self.lines[-1]):
            line = self._process.stdout.readline()
            assert line, self._process.communicate()[1]
            self.lines.append(line.strip())
        self.url = self.lines[-1].rpartition(" ")[2]

    def end(self, number: signal.Signals) -> tuple[int, str]:
        os.kill(self._process.pid, number)
        _, errors = self._process.communicate(timeout=10)
        return self._process.returncode, errors

    def api(self, method: str, path: str, **options: Any) -> Any:
        answer = requests.request(method, self.url + path, headers=KEYS, timeout=10, **options)
        assert answer.status_code in {200, 204}, answer.text
        return answer.json() if answer.content else None

    def submit(self, **fields: Any) -> dict[str, Any]:
        return self.api("POST", "/v2/orders", json=ORDER | fields)


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def launch(*options: Any) -> Process:
        started.append(Process(*options))
        return started[-1]

    yield launch
    for process in started:
        if process._process.poll() is None:
            process.end(signal.SIGKILL)


def refused(*options: Any) -> str:
    ended = subprocess.run(command(*options), cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 2, ended
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    return ended.stderr.strip()


def test_it_says_where_it_listens_and_ends_cleanly(start: Callable[..., Process], tmp_path: Path) -> None:
    process = start("--port-file", tmp_path / "port")
    assert process.lines == [f"alpacasim listening on {process.url}"]
    assert process.url == f"http://127.0.0.1:{(tmp_path / 'port').read_text().strip()}"
    assert connect(process.url).get_clock()["is_open"] is True
    assert process.end(signal.SIGTERM) == (0, "")


def test_ctrl_c_ends_it_cleanly_too(start: Callable[..., Process]) -> None:
    assert start().end(signal.SIGINT) == (0, "")


def test_it_serves_loopback_only() -> None:
    assert refused("--host", "0.0.0.0") == (  # noqa: S104
        "alpacasim serves loopback only: 0.0.0.0 is not one of 127.0.0.1, localhost, ::1."
    )


def test_a_port_in_use_is_told_in_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert refused("--port", port) == (f"Port {port} is in use by another program; choose another with --port.")


@pytest.mark.parametrize("content", [None, "{nonsense", "[]", '{"accounts": {"sim": {"orders": [{}]}}}'])
def test_a_scenario_that_cannot_be_loaded_is_told(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "scenario.json"
    if content is not None:
        path.write_text(content)
    assert refused("--port", 0, "--scenario", path).startswith(f"The scenario {path} ")


def test_a_state_file_that_is_no_database_is_told_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, " * 100)
    assert refused("--port", 0, "--state", path).startswith(f"The state file {path} cannot be used: ")
    assert path.read_text() == "not a database, " * 100


def test_every_answered_order_survives_a_kill(start: Callable[..., Process], tmp_path: Path) -> None:
    options = ("--state", tmp_path / "state.db", "--fill-delay-ms", 20)
    process = start(*options)
    identity = process.api("GET", "/v2/account")["id"]
    answered = [process.submit(client_order_id=f"k{n}")["id"] for n in range(30)]
    # The last orders are killed between their answer and their fill.
    assert process.end(signal.SIGKILL)[0] == -signal.SIGKILL
    process = start(*options)
    assert process.api("GET", "/v2/account")["id"] == identity
    rows = process.api("GET", "/v2/orders?status=all&limit=500&direction=asc")
    assert [row["id"] for row in rows] == answered
    wait_for(lambda: process.api("GET", "/v2/orders") == [], "every order to be filled after the restart")
    [position] = process.api("GET", "/v2/positions")
    assert position["qty"] == "30"
    fills = process.api("GET", "/v2/account/activities/FILL")
    assert len({fill["order_id"] for fill in fills}) == 30
    assert len(fills) == 30, "no order was filled twice"
    # A taken client_order_id stays taken.
    answer = requests.post(f"{process.url}/v2/orders", json=ORDER | {"client_order_id": "k0"}, headers=KEYS, timeout=10)
    assert answer.status_code == 422


def test_the_whole_state_is_the_same_after_a_restart(start: Callable[..., Process], tmp_path: Path) -> None:
    options = ("--state", tmp_path / "state.db")
    process = start(*options)
    requests.post(f"{process.url}/_sim/price", json={"symbol": "KO", "price": "70"}, timeout=10)
    requests.post(f"{process.url}/_sim/actions/clock", json={"pin": "2025-11-06T15:00:00Z"}, timeout=10)
    process.submit()
    process.submit(
        symbol="AAPL", type="limit", limit_price="1", order_class="bracket", time_in_force="gtc",
        take_profit={"limit_price": "2"}, stop_loss={"stop_price": "0.5"},
    )  # fmt: skip
    wait_for(lambda: len(process.api("GET", "/v2/orders")) == 1, "the market order to be filled")
    wait_for(lambda: process.api("GET", "/v2/orders")[0]["status"] == "new", "the bracket to be at the market")
    before = requests.get(f"{process.url}/_sim/state", timeout=10).json()
    process.end(signal.SIGKILL)
    after = requests.get(f"{start(*options).url}/_sim/state", timeout=10).json()
    for state in (before, after):
        for rows in state["accounts"]["sim"].values():
            if isinstance(rows, list):
                rows.sort(key=json.dumps)
    assert after == before


def test_a_reset_account_stays_reset_after_a_kill(start: Callable[..., Process], tmp_path: Path) -> None:
    options = ("--state", tmp_path / "state.db")
    process = start(*options)
    old = process.submit(client_order_id="old")
    requests.post(f"{process.url}/_sim/actions/reset_account", json={"key_id": "sim"}, timeout=10)
    new = process.submit(client_order_id="old")
    identity = process.api("GET", "/v2/account")["id"]
    process.end(signal.SIGKILL)
    process = start(*options)
    assert process.api("GET", "/v2/account")["id"] == identity
    rows = process.api("GET", "/v2/orders?status=all")
    assert [row["id"] for row in rows] == [new["id"]], f"{old['id']} came back"


def test_a_scenario_is_loaded_once(start: Callable[..., Process], tmp_path: Path) -> None:
    scenario = tmp_path / "scenario.json"
    scenario.write_text(json.dumps({"accounts": {"sim": {"cash": "5000"}}}))
    options = ("--state", tmp_path / "state.db", "--scenario", scenario)
    process = start(*options)
    assert process.api("GET", "/v2/account")["cash"] == "5000"
    requests.post(f"{process.url}/_sim/price", json={"symbol": "KO", "price": "70"}, timeout=10)
    process.submit()
    wait_for(lambda: process.api("GET", "/v2/positions"), "the fill")
    process.end(signal.SIGTERM)
    process = start(*options)
    assert process.lines[0] == (
        f"alpacasim: {tmp_path / 'state.db'} already holds an installation, the scenario is not loaded again"
    )
    assert process.api("GET", "/v2/account")["cash"] == "4930"
