"""A PostgreSQL and a Redis server of a test's own, on free ports of loopback; skipped with a reason where absent."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.tradingsite.waiting import wait_for

_ON_LOOPBACK = {"listen_addresses": "127.0.0.1"}
#: What a test writes need not outlive a power cut.
_FORGETFUL = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


def free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


def postgresql_programs() -> Path:
    """Debian keeps them off the PATH; elsewhere they are on it."""
    on_path = shutil.which("postgres")
    folders = [
        *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True),
        *([Path(on_path).parent] if on_path else []),
    ]
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    pytest.skip("PostgreSQL's server programs (initdb, postgres) are not installed")


def _as_another_user(folder: Path) -> dict[str, Any]:
    """PostgreSQL refuses to run as root: the package's own user runs it then."""
    if os.geteuid() != 0:
        return {}
    try:
        owner = pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("PostgreSQL refuses to run as root, and there is no user postgres")
    os.chown(folder, owner.pw_uid, owner.pw_gid)
    # The folders that pytest makes are closed to other users.
    for parent in folder.parents:
        if parent.owner() == "root" and str(parent).startswith(("/tmp/", "/var/tmp/")):  # noqa: S108
            parent.chmod(parent.stat().st_mode | 0o011)
    return {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}


@contextmanager
def postgresql(folder: Path, *, networks: Sequence[str] = (), is_durable: bool = False) -> Iterator[str]:
    """Yield the DATABASE_URL of an empty database; `networks` may come in beside loopback."""
    programs = postgresql_programs()
    folder.mkdir(parents=True)
    owner, port, data = _as_another_user(folder), free_port(), folder / "data"
    init = [str(programs / "initdb"), "-D", str(data), "-U", "trading", "-A", "trust", "-E", "UTF8", "--no-sync"]
    subprocess.run(init, check=True, cwd=folder, stdout=subprocess.DEVNULL, **owner)
    settings = _ON_LOOPBACK | ({} if is_durable else _FORGETFUL) | {"unix_socket_directories": str(folder)}
    if networks:
        settings["listen_addresses"] = "*"
        with (data / "pg_hba.conf").open("a") as rules:
            rules.writelines(f"host all all {network} trust\n" for network in networks)
    serve = [str(programs / "postgres"), "-D", str(data), "-p", str(port)]
    serve += [f"--{name}={value}" for name, value in settings.items()]
    log = folder / "server.log"
    with log.open("wb") as written:
        server = subprocess.Popen(serve, cwd=folder, stderr=written, **owner)
    try:
        wait_for(lambda: _make_database(port), within=30, what="PostgreSQL")
        yield f"postgres://trading@127.0.0.1:{port}/trading"
    except Exception as error:
        error.add_note(f"PostgreSQL said last:\n{log.read_text()[-3000:]}")
        raise
    finally:
        server.send_signal(signal.SIGINT)  # it hangs up on whoever is still connected; SIGTERM would wait for them
        server.wait(30)


def _make_database(port: int) -> bool:
    try:
        with psycopg.connect(host="127.0.0.1", port=port, user="trading", dbname="postgres", autocommit=True) as server:
            server.execute("CREATE DATABASE trading")
    except psycopg.OperationalError:  # it is still starting
        return False
    return True


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """Yield the address of an empty Redis."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    folder.mkdir(parents=True)
    port = free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: _answers(port), within=15, what="Redis")
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait(15)


def _answers(port: int) -> bool:
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0
