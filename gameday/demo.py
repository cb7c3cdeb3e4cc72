"""The demo that the stories are played on: one that runs, or one that is started for them in a folder of its own."""

import html
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests

from gameday.venue import until

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 120.0
STOP_SECONDS = 40.0


@dataclass(frozen=True, slots=True)
class RunningDemo:
    data_dir: Path
    url: str
    simulator_url: str
    users: list[dict[str, str]]

    def password_of(self, username: str) -> str:
        return next(user["password"] for user in self.users if user["username"] == username)


def find_demo(data_dir: Path) -> RunningDemo | None:
    """Return the demo that runs in this folder."""
    try:
        facts: dict[str, Any] = json.loads((data_dir / "demo.json").read_text())
        os.kill(int(facts["pid"]), 0)
    except (OSError, ValueError, KeyError):
        return None
    return RunningDemo(data_dir, facts["url"], facts["simulator_url"], facts["users"])


@contextmanager
def started_demo() -> Iterator[RunningDemo]:
    """Start a demo in a new folder; end it and remove the folder afterwards."""
    with TemporaryDirectory(prefix="gameday-") as folder:
        data_dir = Path(folder) / "data"
        data_dir.mkdir()
        log = Path(folder) / "demo.log"
        command = [sys.executable, str(ROOT / "manage.py"), "demo", "--port", "0"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ALPACA")}
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment | {"DATA_DIR": str(data_dir)}, stdout=output, stderr=output
            )
        try:
            yield until(lambda: _started(process, data_dir, log), "the demo", seconds=START_SECONDS)
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _started(process: "subprocess.Popen[bytes]", data_dir: Path, log: Path) -> RunningDemo | None:
    if process.poll() is not None:
        raise RuntimeError(f"the demo did not start: {log.read_text()[-2000:]}")
    return find_demo(data_dir)


class PagesOfDemo:
    """A person who is logged in to the running demo."""

    def __init__(self, demo: RunningDemo, username: str) -> None:
        self._url = demo.url
        self._http = requests.Session()
        self._http.trust_env = False
        login = f"{self._url}/accounts/login/"
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self._http.get(login, timeout=20).text)
        form = {
            "username": username,
            "password": demo.password_of(username),
            "csrfmiddlewaretoken": token.group(1) if token else "",
        }
        answer = self._http.post(login, data=form, headers={"Referer": login}, timeout=20)
        if answer.url.startswith(login):
            raise RuntimeError(f"{username} could not log in to the demo ({answer.status_code})")

    def read(self, path: str) -> str:
        answer = self._http.get(self._url + path, timeout=30)
        answer.raise_for_status()
        return html.unescape(answer.text)
