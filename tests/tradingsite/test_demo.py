"""One demo, started as a person would, walked through; then looked at after each blow."""

import json
import os
import signal
import socket
import stat
from decimal import Decimal
from pathlib import Path

import psutil
import pytest
import requests

from tests.tradingsite.installation import Installation
from tests.tradingsite.waiting import is_alive, wait_for

READY_WITHIN = 60


class Demo:
    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.start()

    def start(self) -> None:
        self.process = self.installation.start("demo", "--port", "0")
        self.facts = wait_for(self._facts, within=READY_WITHIN, what="demo.json")

    def _facts(self):
        assert self.process.poll() is None, self.installation.printed()
        path = self.installation.data_dir / "demo.json"
        facts = json.loads(path.read_text()) if path.exists() else None
        return facts if facts and facts["pid"] == self.process.pid else None  # not those of a killed one

    def get(self, path: str) -> tuple[int, str]:
        return get(self.facts["url"] + path)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)

    def children(self) -> dict[str, psutil.Process]:
        """By the word after manage.py, or the module's name."""
        found = {}
        for child in psutil.Process(self.process.pid).children():
            if is_alive(child.pid):
                line = child.cmdline()
                found["alpacasim" if "alpacasim" in line else line[2] if len(line) > 2 else "?"] = child
        return found

    def says(self, text: str) -> None:
        self.installation.wait_for_text(text)


def get(url: str) -> tuple[int, str]:
    headers = {"APCA-API-KEY-ID": "sim", "APCA-API-SECRET-KEY": "sim"}
    try:
        answer = requests.get(url, headers=headers, timeout=5)
    except requests.RequestException:
        return 0, ""
    return answer.status_code, answer.text


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    installation = Installation(tmp_path_factory.mktemp("demo") / "data")
    made = Demo(installation)
    try:
        yield made
    finally:
        installation.clean_up()


def test_it_says_where_it_is_and_keeps_that_to_its_owner(demo):
    facts, path = demo.facts, demo.installation.data_dir / "demo.json"
    assert set(facts) == {"url", "simulator_url", "pid", "users"}
    assert facts["pid"] == demo.process.pid
    assert [(one["username"], one["group"]) for one in facts["users"]] == [(n, n) for n in ("trader", "ops", "admin")]
    assert all(set(one) == {"username", "password", "group"} and len(one["password"]) >= 12 for one in facts["users"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((demo.installation.data_dir / "demo-users.json").stat().st_mode) == 0o600
    demo.says(facts["url"])
    for one in facts["users"]:
        demo.says(one["password"])


def test_everything_answers(demo):
    assert demo.get("/healthz") == (200, "ok\n")
    status, text = demo.get("/readyz")
    assert (status, json.loads(text)["is_ready"]) == (200, True)
    assert 'tradingsite_heartbeat_age_seconds{name="ticker"}' in demo.get("/metrics")[1]
    assert get(demo.facts["simulator_url"] + "/v2/account")[0] == 200


def test_a_second_demo_in_the_same_folder_is_refused(demo):
    refused = demo.installation.run("demo", "--port", "0")
    assert refused.returncode == 2
    assert f"A demo already runs in {demo.installation.data_dir} at {demo.facts['url']}." in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert demo.get("/healthz")[0] == 200


def test_a_second_simulator_in_the_same_folder_is_refused(demo):
    refused = demo.installation.run("alpacasim", "--port", "0")
    assert refused.returncode == 2
    assert "A simulator already runs" in refused.stderr


def test_a_taken_port_is_refused_before_anything_is_started(demo, tmp_path):
    other = Installation(tmp_path / "other")
    port = demo.facts["url"].rpartition(":")[2]
    refused = other.run("demo", "--port", port)
    assert refused.returncode == 2
    assert f"Port {port} of 127.0.0.1 cannot be used" in refused.stderr
    assert refused.stdout == ""
    assert not (tmp_path / "other" / "db.sqlite3").exists()


def test_the_incident_is_found_explained_and_repaired_to_the_cent(demo):
    found = demo.installation.run("reconcile", "--json")
    report = json.loads(found.stdout)
    assert (found.returncode, report["state"]) == (1, "drift")
    roots = [drift for drift in report["drifts"] if drift["cause_id"] is None]
    assert len(roots) == 7
    repaired = demo.installation.run("backfill", "--all", "--as", "ops", "--json")
    assert repaired.returncode == 0, repaired.stderr
    open_symbols = demo.installation.query("SELECT symbol FROM positions_position WHERE state = 'open'")
    assert len(open_symbols) == 20
    closed = demo.installation.query("SELECT symbol FROM positions_position WHERE state = 'closed' ORDER BY symbol")
    assert closed == [("FTNT",), ("IBKR",)]
    new = ("QCOM", "NVDA", "ACGL", "HST", "DVN")
    risks = demo.installation.query(
        "SELECT total_risk FROM positions_position WHERE state = 'open' AND symbol IN (?, ?, ?, ?, ?)", *new
    )
    assert sum(Decimal(str(risk)) for (risk,) in risks) == Decimal("3479.52")


@pytest.mark.parametrize(
    ("child", "name"), [("web", "web"), ("alpacasim", "simulator"), ("worker", "worker"), ("stream", "stream")]
)
def test_a_killed_child_is_started_again_and_it_is_said(demo, child, name):
    old = demo.children()[child]
    below = old.children(recursive=True)
    printed = demo.installation.printed().count(f"{name} was killed (SIGKILL)")
    os.kill(old.pid, signal.SIGKILL)
    wait_for(lambda: demo.installation.printed().count(f"{name} was killed (SIGKILL)") > printed, what="the line")
    wait_for(lambda: (new := demo.children().get(child)) and new.pid != old.pid, within=30, what="a new process")
    wait_for(lambda: get(demo.facts["url"] + "/healthz")[0] == 200, within=30, what="the web server")
    wait_for(lambda: get(demo.facts["simulator_url"] + "/v2/account")[0] == 200, within=30, what="the simulator")
    wait_for(lambda: not any(is_alive(process.pid) for process in below), what="the end of its children")


def test_the_stream_is_live_again_after_each_blow(demo):
    live = 'tradingsite_stream_is_live{account="sim"} 1.0'
    wait_for(lambda: live in demo.get("/metrics")[1], within=60, what="a live stream")


def test_a_killed_demo_leaves_nothing_that_the_next_one_does_not_clean_up_and_people_stay(demo):
    users, before = demo.facts["users"], demo.installation.processes()
    os.kill(demo.process.pid, signal.SIGKILL)
    demo.process.wait()
    demo.start()
    assert demo.facts["users"] == users
    assert not [process for process in before if is_alive(process.pid)]
    assert demo.installation.query("SELECT count(*) FROM positions_position WHERE state = 'open'") == [(20,)]


def test_ctrl_c_ends_everything(demo):
    """The last walk: the demo ends here."""
    assert demo.stop() == 0
    assert not (demo.installation.data_dir / "demo.json").exists()
    assert not demo.installation.processes()
    port = int(demo.facts["url"].rpartition(":")[2])
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize("environment", ["paper", "live"])
def test_the_demo_never_starts_with_real_money(tmp_path, environment):
    refused = Installation(tmp_path / "data", ALPACA_ENV=environment).run("demo", "--port", "0")
    assert refused.returncode == 2
    assert f"ALPACA_ENV is '{environment}'" in refused.stderr


@pytest.mark.parametrize("folder", ["/proc/self", "/proc/nowhere", "/dev/null"])
def test_a_folder_that_cannot_be_written_is_refused_in_one_sentence(folder):
    """Root may write nearly anywhere, but not here."""
    installation = Installation(Path(folder))
    for arguments in (["demo", "--port", "0"], ["worker"], ["web", "--port", "0"]):
        refused = installation.run(*arguments)
        assert refused.returncode == 2
        assert refused.stderr.startswith("DATA_DIR ")
        assert "Traceback" not in refused.stderr
        assert refused.stderr.count("\n") == 1


def test_a_database_that_cannot_be_written_is_refused_in_one_sentence(tmp_path):
    refused = Installation(tmp_path / "data", DATABASE_URL="sqlite:////proc/db.sqlite3").run("demo", "--port", "0")
    assert refused.returncode == 2
    assert "The database cannot be used: unable to open database file." in refused.stderr
    assert "Traceback" not in refused.stderr
