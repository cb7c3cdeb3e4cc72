"""`make gameday` as a person plays it: the whole of it against a real demo that it starts and ends itself."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gameday.playing import RULE
from tests.simulation import ROOT

WITHIN_SECONDS = 500
#: A run that is interrupted ends its demo first.
ENDS_WITHIN_SECONDS = 60


def gameday(*arguments: str, data_dir: Path) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ALPACA", "DJANGO"))}
    command = [sys.executable, "-m", "gameday", "--no-wait", "--data-dir", str(data_dir), *arguments]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        told, errors = process.communicate(timeout=WITHIN_SECONDS)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        told, errors = process.communicate(timeout=ENDS_WITHIN_SECONDS)
        errors += f"\nIt was interrupted after {WITHIN_SECONDS} s."
    return subprocess.CompletedProcess(command, process.returncode, told, errors)


def what_went_wrong(told: str, errors: str) -> str:
    """The lines of each story that was not survived, or the last ones where no story got as far as a verdict."""
    parts = told.split(RULE)
    lost = [part for part in parts if "  verdict   NOT SURVIVED" in part]
    return "\n".join([*(lost or parts[-1:]), errors[-2000:]])


def test_all_fifteen_survive_in_front_of_a_person(tmp_path: Path) -> None:
    played = gameday(data_dir=tmp_path / "nothing-runs-here")
    if played.returncode != 0:
        pytest.fail(what_went_wrong(played.stdout, played.stderr), pytrace=False)
    assert "15 of 15 survived." in played.stdout
    for told in ("broker    ", "software  ", "repaired  ", "verdict   SURVIVED"):
        assert told in played.stdout
    assert not (tmp_path / "nothing-runs-here").exists()


def test_of_a_gameday_that_is_lost_the_lost_story_is_shown() -> None:
    won = " 1  Won\n  verdict   SURVIVED"
    lost = " 2  Lost\n  broker    fails\n  verdict   NOT SURVIVED: why"
    shown = what_went_wrong(RULE.join(["begin", won, lost, "1 of 2"]), "an error")
    assert "broker    fails" in shown
    assert "NOT SURVIVED: why" in shown
    assert "an error" in shown
    assert "Won" not in shown
    assert "the demo did not start" in what_went_wrong("starting", "the demo did not start")


def test_a_story_that_there_is_not_is_refused_in_a_sentence(tmp_path: Path) -> None:
    refused = gameday("--only", "16", data_dir=tmp_path)
    assert refused.returncode == 2
    assert "there are the stories 1 to 15" in refused.stderr
