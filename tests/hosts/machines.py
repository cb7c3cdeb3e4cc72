"""The machines of a test: namespaces of network, processes and host name, with cables that can be pulled.

Where the system does not let us make them, groups of processes stand in, with a relay of the test before the database
that can be stopped. Either way `cut` lets nothing more through and tells nobody, and `kill` ends all at once.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import IO

import psutil

from tests.tradingsite.waiting import wait_for

RELAY = Path(__file__).with_name("relay.py")
_BOOT = 'hostname "$1" && ip link set lo up && echo up && exec sleep 100000'
_NEW_MACHINE = ["unshare", "--net", "--uts", "--pid", "--mount", "--fork", "--mount-proc", "--kill-child"]


@cache
def can_be_namespaces() -> bool:
    """Root on a kernel that has them, and not in a container that forbids them."""
    if os.geteuid() != 0 or not sys.platform.startswith("linux"):
        return False
    name = f"probe{os.getpid()}"
    probe = [*_NEW_MACHINE, "sh", "-c", f"hostname probe && ip link add {name} type veth peer name {name}p"]
    with contextlib.suppress(OSError):
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0
    return False


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


class Relay:
    """A process that forwards to an address; `stop` holds everything up, connections stay open."""

    def __init__(self, listen: str, target: tuple[str, int], *, inside: Sequence[str] = ()) -> None:
        command = [*inside, sys.executable, "-I", "-S", str(RELAY), listen, target[0], str(target[1])]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


class Machine:
    """One host: how its processes are started, how they see the database and Alpaca, and how it breaks."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.environment: dict[str, str] = {}
        #: Whence it comes to the test's machine; empty: from loopback.
        self.subnet = ""
        self._started: list[subprocess.Popen[bytes]] = []
        self._relays: list[Relay] = []

    def start(
        self, command: Sequence[str], *, environment: Mapping[str, str], log: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [*self._inside(), *command],
            env={**environment, **self.environment},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def publish(self, port: int) -> str:
        """The address at which the test, outside, reaches a port of this machine's loopback."""
        raise NotImplementedError

    def database_at(self, port: int) -> str:
        """host:port of the PostgreSQL on the test's own machine."""
        raise NotImplementedError

    def alpaca_at(self, port: int) -> str:
        raise NotImplementedError

    def cut(self) -> None:
        """Let nothing through to the database any more, nor back."""
        raise NotImplementedError

    def mend(self) -> None:
        raise NotImplementedError

    def kill(self) -> None:
        """As when the power fails."""
        raise NotImplementedError

    def clean_up(self) -> None:
        self.kill()
        for process in self._started:
            process.wait(20)
        for relay in self._relays:
            relay.close()

    def _inside(self) -> list[str]:
        return []

    def _relay(self, listen: str, target: tuple[str, int], *, inside: Sequence[str] = ()) -> Relay:
        relay = Relay(listen, target, inside=inside)
        self._relays.append(relay)
        return relay


class Namespaces(Machine):
    """Two cables lead to the test's machine, one to the database and one to all else."""

    def __init__(self, name: str, *, network: str, number: int) -> None:
        super().__init__(name)
        self._root = subprocess.Popen(
            [*_NEW_MACHINE, "sh", "-c", _BOOT, "sh", name],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert self._root.stdout is not None
        assert self._root.stdout.readline() == b"up\n"
        [first] = psutil.Process(self._root.pid).children()
        self._first_pid = first.pid
        self.subnet = f"{network}.{number * 8}/30"
        self._database_cable = self._lay_cable("d", f"{network}.{number * 8}")
        self._other_cable = self._lay_cable("o", f"{network}.{number * 8 + 4}")
        self._near = f"{network}.{number * 8 + 1}", f"{network}.{number * 8 + 5}"
        self._far = f"{network}.{number * 8 + 6}"

    def _lay_cable(self, kind: str, subnet: str) -> str:
        """Our end has the subnet's first address, the machine's end the second."""
        stem, last = subnet.rsplit(".", 1)
        name, there, inside = f"t{self._first_pid}{kind}", f"{kind}0", str(self._first_pid)
        _ip("link", "add", name, "type", "veth", "peer", "name", there, "netns", inside)
        _ip("addr", "add", f"{stem}.{int(last) + 1}/30", "dev", name)
        _ip("link", "set", name, "up")
        enter = ["nsenter", "-t", inside, "-n", "ip"]
        subprocess.run([*enter, "addr", "add", f"{stem}.{int(last) + 2}/30", "dev", there], check=True)
        subprocess.run([*enter, "link", "set", there, "up"], check=True)
        return name

    def _inside(self) -> list[str]:
        return ["nsenter", "-t", str(self._first_pid), "-n", "-u", "-p", "-m", "--"]

    def publish(self, port: int) -> str:
        return f"http://{self._far}:{self._relay(self._far, ('127.0.0.1', port), inside=self._inside()).port}"

    def database_at(self, port: int) -> str:
        return f"{self._near[0]}:{port}"

    def alpaca_at(self, port: int) -> str:
        return f"{self._near[1]}:{self._relay(self._near[1], ('127.0.0.1', port)).port}"

    def cut(self) -> None:
        _ip("link", "set", self._database_cable, "down")

    def mend(self) -> None:
        _ip("link", "set", self._database_cable, "up")

    def kill(self) -> None:
        """The first process takes the whole namespace along; the cables end with it."""
        if self._root.poll() is not None:  # its number may be somebody else's by now
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._first_pid, signal.SIGKILL)
        self._root.wait(20)
        assert self._root.stdout is not None
        self._root.stdout.close()


class ProcessGroups(Machine):
    """Every process of the machine has its name in its environment; tests.hosts.host_settings makes it the host's."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._mark = f"{name}-{os.getpid()}"
        self.environment = {"HOST_NAME": name, "HOST_MARK": self._mark}
        self._database: Relay | None = None

    def publish(self, port: int) -> str:
        return f"http://127.0.0.1:{port}"

    def database_at(self, port: int) -> str:
        self._database = self._database or self._relay("127.0.0.1", ("127.0.0.1", port))
        return f"127.0.0.1:{self._database.port}"

    def alpaca_at(self, port: int) -> str:
        return f"127.0.0.1:{port}"

    def cut(self) -> None:
        self._signal_relay(signal.SIGSTOP)

    def mend(self) -> None:
        self._signal_relay(signal.SIGCONT)

    def _signal_relay(self, number: signal.Signals) -> None:
        assert self._database is not None
        self._database.process.send_signal(number)

    def kill(self) -> None:
        def left() -> list[psutil.Process]:
            return [process for process in psutil.process_iter() if self._is_here(process)]

        def is_empty() -> bool:
            for process in left():
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            return not left()

        wait_for(is_empty, what=f"the end of {self.name}")

    def _is_here(self, process: psutil.Process) -> bool:
        try:
            is_alive = process.status() != psutil.STATUS_ZOMBIE
            return is_alive and process.environ().get("HOST_MARK") == self._mark
        except psutil.Error:
            return False


@contextlib.contextmanager
def machines(*names: str) -> Iterator[list[Machine]]:
    """A subnet that two test runs at once hardly ever share."""
    chance = Random()
    network = f"10.{chance.randrange(64, 250)}.{chance.randrange(256)}"
    with contextlib.ExitStack() as stack:
        made: list[Machine] = []
        for number, name in enumerate(names):
            if can_be_namespaces():
                made.append(Namespaces(name, network=network, number=number))
            else:
                made.append(ProcessGroups(name))
            stack.callback(made[-1].clean_up)
        yield made
