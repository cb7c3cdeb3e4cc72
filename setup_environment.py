"""Install the locked packages into .venv, once per lock file: `python3 setup_environment.py run|dev`.

Runs on the bare system Python, so it uses the standard library only. A stamp holds the digest of what was
installed; while it matches, nothing is done and nothing is printed.
"""

import hashlib
import importlib.util
import os
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
LOCKS = ROOT / "requirements"
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
OLDEST = (3, 11)


def main() -> int:
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    if wanted not in {"run", "dev"}:
        return _refuse("usage: python3 setup_environment.py run|dev")
    if sys.version_info < OLDEST:
        found = ".".join(map(str, sys.version_info[:3]))
        return _refuse(f"Python 3.11 or newer is needed, {found} was found. Try: make {wanted} PYTHON=python3.12")
    if _is_installed(wanted):
        return 0
    if importlib.util.find_spec("ensurepip") is None:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        return _refuse(
            "This Python came without ensurepip, so it cannot make an environment. "
            f"On Debian and Ubuntu: apt install python{version}-venv"
        )
    started = time.monotonic()
    try:
        _install(wanted)
    except subprocess.CalledProcessError as error:
        return _refuse(f"Setting up .venv stopped: this step failed: {' '.join(map(str, error.cmd))}")
    except OSError as error:
        return _refuse(f"Setting up .venv stopped: {error}")
    print(f"setup: ready after {time.monotonic() - started:.0f} s", flush=True)
    return 0


def _install(wanted: str) -> None:
    if not PYTHON.exists():
        _say("creating .venv")
        venv.create(ENVIRONMENT, with_pip=True, clear=ENVIRONMENT.exists())
    _say("installing the installer (uv)")
    _run(PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes",
         "--requirement", LOCKS / "installer.txt")  # fmt: skip
    _say(f"installing {_count(wanted)} locked packages")
    uv = ENVIRONMENT / "bin" / "uv"
    _run(uv, "pip", "install", "--quiet", "--require-hashes", "--requirement", LOCKS / f"{wanted}.txt")
    if wanted == "dev":
        _say("installing Alpaca's OpenAPI document")
        _run(uv, "pip", "install", "--quiet", "--no-deps", "--require-hashes",
             "--requirement", LOCKS / "specification.txt")  # fmt: skip
        # What runs is a part of what develops: a later `make demo` has nothing left to install.
        _stamp("run").write_text(_digest("run"))
    _stamp(wanted).write_text(_digest(wanted))


def _is_installed(wanted: str) -> bool:
    stamp = _stamp(wanted)
    return PYTHON.exists() and stamp.exists() and stamp.read_text() == _digest(wanted)


def _stamp(wanted: str) -> Path:
    return ENVIRONMENT / f".installed-{wanted}"


def _digest(wanted: str) -> str:
    names = ["installer.txt", f"{wanted}.txt"] + (["specification.txt"] if wanted == "dev" else [])
    return hashlib.sha256(b"".join((LOCKS / name).read_bytes() for name in names)).hexdigest()


def _count(wanted: str) -> int:
    return sum("==" in line for line in (LOCKS / f"{wanted}.txt").read_text().splitlines())


def _run(*command: object) -> None:
    environment = os.environ | {"VIRTUAL_ENV": str(ENVIRONMENT)}
    subprocess.run([str(part) for part in command], check=True, env=environment)


def _say(text: str) -> None:
    print(f"setup: {text} ...", flush=True)


def _refuse(text: str) -> int:
    print(text, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
