"""`setup_environment.py`: what it refuses, and that a second call does nothing. What it installs, every test uses."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def setup(tmp_path, monkeypatch):
    """The script, working in an empty folder with the real lock files; its steps are noted instead of run."""
    spec = importlib.util.spec_from_file_location("setup_environment", ROOT / "setup_environment.py")
    assert spec
    assert spec.loader
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.ENVIRONMENT = tmp_path / ".venv"
    module.PYTHON = module.ENVIRONMENT / "bin" / "python"
    module.steps = []

    def create(folder, **_options):
        (folder / "bin").mkdir(parents=True)
        module.PYTHON.touch()

    monkeypatch.setattr(module.venv, "create", create)
    monkeypatch.setattr(module, "_run", lambda *command: module.steps.append([str(part) for part in command]))
    return module


def call(module, monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["setup_environment.py", *arguments])
    return module.main()


def test_it_installs_with_hashes_and_says_what_it_does(setup, monkeypatch, capsys):
    assert call(setup, monkeypatch, "run") == 0
    assert all("--require-hashes" in step for step in setup.steps)
    printed = capsys.readouterr().out
    assert "setup: creating .venv ..." in printed
    assert "setup: ready after" in printed


def test_the_second_time_nothing_is_done_or_said(setup, monkeypatch, capsys):
    call(setup, monkeypatch, "dev")
    setup.steps.clear()
    capsys.readouterr()
    assert call(setup, monkeypatch, "dev") == 0
    assert call(setup, monkeypatch, "run") == 0
    assert setup.steps == []
    assert capsys.readouterr().out == ""


def test_a_changed_lock_file_is_installed_anew(setup, monkeypatch, tmp_path):
    call(setup, monkeypatch, "run")
    setup.steps.clear()
    locks = tmp_path / "requirements"
    locks.mkdir()
    for name in ("installer.txt", "run.txt"):
        (locks / name).write_text((setup.LOCKS / name).read_text() + "# newer\n")
    setup.LOCKS = locks
    assert call(setup, monkeypatch, "run") == 0
    assert setup.steps


def test_a_step_that_fails_is_named_and_tried_again_the_next_time(setup, monkeypatch, capsys):
    def fail(*command: object) -> None:
        raise subprocess.CalledProcessError(1, [str(part) for part in command])

    monkeypatch.setattr(setup, "_run", fail)
    assert call(setup, monkeypatch, "run") == 2
    assert "this step failed" in capsys.readouterr().err
    assert not setup._is_installed("run")


def test_an_old_python_is_refused(setup, monkeypatch, capsys):
    monkeypatch.setattr(setup.sys, "version_info", (3, 9, 2))
    assert call(setup, monkeypatch, "run") == 2
    assert "Python 3.11 or newer is needed, 3.9.2 was found." in capsys.readouterr().err


def test_a_python_without_ensurepip_is_refused(setup, monkeypatch, capsys):
    monkeypatch.setattr(setup.importlib.util, "find_spec", lambda _name: None)
    assert call(setup, monkeypatch, "run") == 2
    assert "-venv" in capsys.readouterr().err
    assert setup.steps == []


@pytest.mark.parametrize("arguments", [[], ["everything"]])
def test_an_unknown_wish_is_refused(setup, monkeypatch, arguments):
    assert call(setup, monkeypatch, *arguments) == 2


def test_the_lock_files_name_no_registry():
    for lock in (ROOT / "requirements").glob("*.txt"):
        assert "://" not in lock.read_text(), lock.name
