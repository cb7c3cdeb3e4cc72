"""gunicorn takes the file that we hand out, and is told by it what `manage.py web` tells it."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.tradingsite.installation import ROOT, Installation
from tests.tradingsite.stores import free_port
from tests.tradingsite.waiting import wait_for

CONFIGURATION = ROOT / "deploy" / "gunicorn.conf.py"
GUNICORN = [sys.executable, "-m", "gunicorn", "-c", str(CONFIGURATION)]


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    made = Installation(tmp_path / "data")
    made.set_up()
    return made


def test_it_serves_the_pages(installation: Installation) -> None:
    port = free_port()
    command = [*GUNICORN, "--bind", f"127.0.0.1:{port}", "tradingsite.wsgi"]
    environment = installation.environment | {"PYTHONPATH": str(ROOT)}
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: _listens(port) or server.poll() is not None, within=60, what="gunicorn")
        with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=30) as answer:
            assert answer.read() == b"ok\n"
    finally:
        server.terminate()
        told = server.communicate(timeout=30)[1]
    assert told == "", told


def _listens(port: int) -> bool:
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


def test_it_says_what_the_web_command_says() -> None:
    from tradingsite.gunicorn_server import gunicorn_settings

    said: dict[str, object] = {}
    exec(compile(CONFIGURATION.read_text(), str(CONFIGURATION), "exec"), said)  # noqa: S102  # as gunicorn does
    expected = gunicorn_settings(workers=2)
    assert {name: said[name] for name in expected} == expected
    assert said["bind"] == ["127.0.0.1:8000"], os.fspath(CONFIGURATION)
