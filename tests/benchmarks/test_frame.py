"""The frame of `make bench`: table, JSON, picture, exit status, and what it does with a row that fails."""

import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import running
from benchmarks.__main__ import main
from benchmarks.databases import new_database
from benchmarks.picture import picture, share_of_goal
from benchmarks.rows import QUICK, Figure
from benchmarks.running import ROOT, ROWS, run_row
from benchmarks.table import markdown, table

PACKAGE = "tests.benchmarks.rows"


def bench(*arguments, rows):
    return main(["--quick", *map(str, arguments)], rows=rows, package=PACKAGE)


def test_met_goals_end_with_0_and_are_told_in_the_table(capsys):
    assert bench(rows=("good",)) == 0
    said = capsys.readouterr()
    assert "as quick measures  1.50 s" in said.out
    assert "1.50 ×" in said.out
    assert "≤ 2 ×" in said.out
    assert "against something simple; a note" in said.out
    assert "≤ 8 calls" in said.out
    assert "[1/1] good" in said.err


def test_a_missed_goal_ends_with_1(capsys):
    assert bench(rows=("good", "slow")) == 1
    assert re.search(r"0\.30 × +≥ 0\.70 × +MISSED", capsys.readouterr().out)


def test_a_row_that_fails_is_told_and_keeps_no_other_back(capsys, tmp_path):
    file = tmp_path / "figures.json"
    assert bench("--json", file, rows=("broken", "good")) == 1
    said = capsys.readouterr()
    assert "broken  FAILED: failed with status 1: RuntimeError: the venue is gone" in said.out
    assert "requests" in said.out
    failures = [row["failure"] for row in json.loads(file.read_text())["rows"]]
    assert "the venue is gone" in failures[0]
    assert failures[1] is None
    left = re.search(r"left (\S+)", said.err)
    assert left is not None
    assert not Path(left[1]).exists()


def test_the_json_has_every_figure_with_its_ratio(tmp_path):
    file = tmp_path / "figures.json"
    assert bench("--json", file, rows=("good", "slow")) == 1
    document = json.loads(file.read_text())
    assert (document["scale"], document["database"]) == ("quick", "SQLite")
    assert [(f["row"], f["ratio"], f["is_met"]) for f in document["figures"]] == [
        ("good", 1.5, True),
        ("good", None, True),
        ("slow", 0.3, False),
    ]


def test_the_picture_has_a_title_an_axis_and_a_bar_for_each_figure(tmp_path):
    file = tmp_path / "figures.svg"
    bench("--picture", file, rows=("good", "slow"))
    root = ElementTree.fromstring(file.read_text())  # noqa: S314 - our own file
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[0] == "make bench, quick size, SQLite"
    assert "share of the goal" in texts
    assert "1.50 ×  (goal ≤ 2 ×)" in texts
    bars = [element.get("class") for element in root.iter("{http://www.w3.org/2000/svg}rect")]
    assert bars == ["met", "met", "missed"]
    assert "prefers-color-scheme: dark" in file.read_text()


@pytest.mark.parametrize(
    "arguments", [["--only", "nothing"], ["--json", "/nowhere/figures.json"], ["--picture", "/"], ["--unknown"]]
)
def test_bad_input_ends_with_2_and_measures_nothing(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        bench(*arguments, rows=("good",))
    assert ended.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_only_measures_the_rows_that_are_wanted(capsys):
    assert bench("--only", "good", rows=("slow", "good")) == 0
    assert "writes" not in capsys.readouterr().out


def test_rows_know_nothing_of_this_computers_installation(monkeypatch, tmp_path):
    monkeypatch.setenv("DATABASE_URL", "postgres://real")
    monkeypatch.setenv("ALPACA_API_KEY", "real")
    environment = running._environment(tmp_path, "")
    assert not [name for name in environment if name.startswith(("ALPACA", "DATABASE", "DATA_DIR", "SECRET"))]
    assert environment["TMPDIR"] == str(tmp_path)


def test_a_row_that_hangs_is_ended(monkeypatch):
    monkeypatch.setitem(running.MOST_SECONDS, "quick", 0.0)
    outcome = run_row("good", QUICK, package=PACKAGE)
    assert "ended after" in outcome.failure


def test_a_row_can_be_measured_alone():
    command = [sys.executable, "-m", f"{PACKAGE}.slow", "--quick"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "MISSED" in ended.stdout


@pytest.mark.parametrize("row", ROWS)
def test_every_row_of_the_suite_is_a_program_of_its_own(row):
    text = (ROOT / "benchmarks" / f"{row}.py").read_text()
    assert "def measure(scale: Scale) -> list[Figure]:" in text
    assert "run_alone(measure)" in text


def test_a_goal_of_nothing_is_met_by_nothing_alone():
    none, one = (Figure("x", "errors", value, "errors", 0) for value in (0, 1))
    assert (none.is_met, one.is_met) == (True, False)
    assert (share_of_goal(none), share_of_goal(one)) == (0.0, float("inf"))
    assert "…" in picture([one], title="<&>")
    assert "&lt;&amp;&gt;" in picture([one], title="<&>")


def test_a_figure_comes_back_from_its_json():
    figure = Figure("x", "y", 1.0, "ms", 2.0, bound=0.0, note="z")
    assert Figure.from_json(json.loads(json.dumps(figure.as_json()))) == figure
    assert not figure.is_met  # nothing was measured for a bound


def test_the_table_and_its_markdown_tell_the_same():
    figure = Figure("x", "y", 1234.0, "ms", 2.0, bound=1000.0, bound_what="z")
    for text in (table([figure]), markdown([figure])):
        assert "1,234 ms" in text
        assert "1.23 ×" in text
    assert len({line.count("|") for line in markdown([figure]).splitlines()}) == 1


def test_a_new_database_on_sqlite_is_a_file_of_the_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("BENCHMARK_SERVER", raising=False)
    with new_database(tmp_path, "small") as address:
        assert address == f"sqlite:///{tmp_path}/small.sqlite3"
