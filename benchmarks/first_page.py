"""From the second `manage.py demo` to its first page: python -m benchmarks.first_page

Whoever starts it waits for the page; so the clock on the wall counts, and the log-in is one of the demo's own people.
"""

import http.cookiejar
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.databases import begin
from benchmarks.history import ROOT
from benchmarks.rows import Figure, Scale, run_alone, say

GOAL = 5.0
WAIT_SECONDS = 120.0
_PATIENCE_SECONDS = 1.5


def measure(scale: Scale) -> list[Figure]:
    times = 1 if scale.is_quick else 5
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        data = Path(folder) / "data"
        data.mkdir()
        begin(data / "db.sqlite3")
        say(f"first start: {_until_first_page(data):.1f} s")
        taken = []
        for number in range(times):
            taken.append(_until_first_page(data))
            say(f"start {number + 2}: {taken[-1]:.1f} s")
    what = "make demo, second start, until the overview is shown"
    return [Figure(row="first page", what=what, value=median(taken), unit="s", goal=GOAL)]


def _until_first_page(data: Path) -> float:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ALPACA", "DATA"))}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, str(ROOT / "manage.py"), "demo", "--port", "0", "--data-dir", str(data)]
    start = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    try:
        _show_overview(_facts(process, data / "demo.json"))
        return time.monotonic() - start
    finally:
        _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End it as with Ctrl-C; what it still does then is not waited for, as with Ctrl-C again."""
    for seconds in (_PATIENCE_SECONDS, WAIT_SECONDS):
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
            return


def _facts(process: "subprocess.Popen[bytes]", file: Path) -> dict[str, Any]:
    deadline = time.monotonic() + WAIT_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if file.exists():
            facts: dict[str, Any] = json.loads(file.read_text())
            if facts["pid"] == process.pid:  # not those of an earlier one
                return facts
        time.sleep(0.02)
    raise RuntimeError("the demo did not start")


def _show_overview(facts: dict[str, Any]) -> None:
    """Log in, which leads there."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
    address = facts["url"].rstrip("/") + "/accounts/login/"
    page = opener.open(address, timeout=30).read().decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    person = next(user for user in facts["users"] if user["username"] == "ops")
    fields = {"csrfmiddlewaretoken": token[1] if token else "", **{k: person[k] for k in ("username", "password")}}
    answer = opener.open(address, urllib.parse.urlencode(fields).encode(), timeout=30)
    if "Equity curve" not in answer.read().decode():
        raise RuntimeError(f"the overview is not shown, but {answer.url}")


if __name__ == "__main__":
    run_alone(measure)
