"""The systemd units: taken by systemd's own checker, and shut off from what they never need."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.tradingsite.installation import MANAGE, ROOT

UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
#: systemd's own word for up to this is "OK"; a service without any line of it has 9.6.
MOST_EXPOSED = 2.5


@pytest.fixture
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """As handed out, but with a program and a person that this computer has: the checker looks for both."""
    text = request.param.read_text()
    for name in ("User", "Group"):
        text, times = re.subn(rf"^{name}=tradingsite$", f"{name}=root", text, flags=re.MULTILINE)
        assert times == 1
    text = text.replace("/opt/tradingsite/.venv/bin/python", "/bin/true")
    path = tmp_path / request.param.name.replace("@", "@sim")
    path.write_text(text)
    return path


def systemd_analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("unit", UNITS, indirect=True, ids=lambda path: path.name)
def test_systemd_takes_it_without_a_word(unit: Path) -> None:
    done = systemd_analyze("verify", str(unit))
    assert (done.returncode, done.stderr.strip()) == (0, "")


@pytest.mark.parametrize("unit", UNITS, indirect=True, ids=lambda path: path.name)
def test_it_is_shut_off_from_what_it_never_needs(unit: Path) -> None:
    done = systemd_analyze("security", "--offline=yes", "--no-pager", str(unit))
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1]) <= MOST_EXPOSED


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_the_command_that_it_starts_is_there(path: Path) -> None:
    started = re.search(r"^ExecStart=\S+ manage\.py (.+)$", path.read_text(), re.MULTILINE)
    assert started
    command, *options = started[1].split()
    told = subprocess.run([*MANAGE, command, "--help"], capture_output=True, text=True, check=True).stdout
    for option in options:
        if option.startswith("--"):
            assert option in told


def test_there_is_one_for_each_program() -> None:
    assert [path.name for path in UNITS] == [
        "tradingsite-stream@.service", "tradingsite-web.service", "tradingsite-worker.service"
    ]  # fmt: skip
