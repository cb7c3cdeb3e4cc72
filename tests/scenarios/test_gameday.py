"""`make gameday` as a person plays it: the whole of it against a real demo that it starts and ends itself."""

import os
import subprocess
import sys
from pathlib import Path

from tests.simulation import ROOT

WITHIN_SECONDS = 570


def gameday(*arguments: str, data_dir: Path) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ALPACA", "DJANGO"))}
    return subprocess.run(
        [sys.executable, "-m", "gameday", "--no-wait", "--data-dir", str(data_dir), *arguments],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=WITHIN_SECONDS, check=False,
    )  # fmt: skip


def test_all_fifteen_survive_in_front_of_a_person(tmp_path: Path) -> None:
    played = gameday(data_dir=tmp_path / "nothing-runs-here")
    assert played.returncode == 0, played.stdout[-6000:] + played.stderr[-2000:]
    assert "15 of 15 survived." in played.stdout
    for told in ("broker    ", "software  ", "repaired  ", "verdict   SURVIVED"):
        assert told in played.stdout
    assert not (tmp_path / "nothing-runs-here").exists()


def test_a_story_that_there_is_not_is_refused_in_a_sentence(tmp_path: Path) -> None:
    refused = gameday("--only", "16", data_dir=tmp_path)
    assert refused.returncode == 2
    assert "there are the stories 1 to 15" in refused.stderr
