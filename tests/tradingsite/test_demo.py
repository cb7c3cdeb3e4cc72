"""One demo, started as a person would, walked through; then looked at after each blow."""

import html
import json
import os
import re
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


class LoggedIn:
    def __init__(self, facts, name: str) -> None:
        self._url, self._session = facts["url"], requests.Session()
        (password,) = (one["password"] for one in facts["users"] if one["username"] == name)
        self.get("/accounts/login/")
        assert self.post("/accounts/login/", data={"username": name, "password": password}).history

    def get(self, path: str) -> requests.Response:
        return self._session.get(self._url + path, timeout=15)

    def post(self, path: str, *, data=None, files=None) -> requests.Response:
        token = {"csrfmiddlewaretoken": self._session.cookies["csrftoken"]}
        answer = self._session.post(self._url + path, data=token | (data or {}), files=files, timeout=15)
        assert answer.status_code == 200, answer.text
        return answer


def said_under(demo: Demo, correlation_id: str) -> list[dict]:
    lines = [line for line in demo.installation.printed().splitlines() if correlation_id in line]
    return [json.loads(line[line.index("{") :]) for line in lines]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    installation = Installation(tmp_path_factory.mktemp("demo") / "data", LOG_FORMAT="json")
    try:
        yield Demo(installation)
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


def test_one_id_leads_from_the_click_to_the_fill_through_every_log(demo):
    person = LoggedIn(demo.facts, "ops")
    page = person.post("/batches/new/", files={"file": ("one.csv", b"symbol,side,qty\nAAPL,buy,1\n", "text/csv")})
    signed = re.search(r'name="file" value="([^"]+)"', page.text)
    assert signed is not None
    answer = person.post("/batches/confirm/", data={"file": html.unescape(signed[1]), "when": "now"})
    ((order_id, told),) = wait_for(
        lambda: demo.installation.query(
            "SELECT o.id, o.correlation_id FROM orders_order o JOIN orders_fill f ON f.order_id = o.id "
            "WHERE o.batch_id = ?",
            int(answer.url.rstrip("/").rpartition("/")[2]),
        ),
        within=30,
        what="the fill",
    )
    assert told == answer.history[0].headers["X-Request-ID"]
    assert f'id="order-correlation">{told}<' in person.get(f"/orders/{order_id}/").text
    lines = wait_for(
        lambda: (found := said_under(demo, told)) and any(": fill " in line["message"] for line in found) and found,
        what="the line about the fill",
    )
    story = [(line["logger"], line["message"]) for line in lines]
    steps = [
        ("orders.recording", "recorded"),
        ("work.middleware", "POST /batches/confirm/"),
        ("orders.claiming", "claimed"),
        ("orders.booking", "confirmed as"),
        ("orders.booking", ": fill "),
    ]
    for logger, words in steps:
        assert [text for name, text in story if name == logger and words in text], (logger, words, story)
    by_process = {line["logger"]: psutil.Process(line["process"]).cmdline() for line in lines}
    assert "web" in by_process["orders.recording"]
    assert "qcluster" in by_process["orders.claiming"]


def test_no_line_of_a_log_has_a_secret(demo):
    """What the demo itself prints for the person who started it are the three passwords, and no log."""
    text = "\n".join(line for line in demo.installation.printed().splitlines() if '{"time"' in line)
    keys = demo.installation.query("SELECT session_key FROM django_session")
    secrets = [one["password"] for one in demo.facts["users"]] + [key for (key,) in keys]
    secrets.append((demo.installation.data_dir / "secret-key").read_text().strip())
    assert len(keys) >= 1
    assert text.count("\n") > 10
    assert [secret for secret in secrets if secret in text] == []


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
    held = "SELECT symbol, state FROM positions_position ORDER BY symbol"
    positions = demo.installation.query(held)
    os.kill(demo.process.pid, signal.SIGKILL)
    demo.process.wait()
    demo.start()
    assert demo.facts["users"] == users
    assert not [process for process in before if is_alive(process.pid)]
    assert len(positions) > 20
    assert demo.installation.query(held) == positions


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
