"""Connections of the product that sit on a line while it is cut."""

import re
import sys
import time

from tests.hosts.site import Host
from tests.tradingsite.installation import ROOT
from tests.tradingsite.waiting import wait_for

#: The product's own connection: it waits for an answer in a transaction, and says when it gave up.
SITTER = """
import sys, time, psycopg
from tradingsite.postgresql import OPTIONS
with psycopg.connect(sys.argv[1], **OPTIONS) as connection:
    connection.execute("SELECT pg_advisory_xact_lock(4711)")
    print("sits", flush=True)
    try:
        {wait}
    except psycopg.OperationalError:
        print(f"gave up at {{time.time()}}", flush=True)
"""
SITTERS = ("connection.execute('SELECT pg_sleep(100)')", "time.sleep(100)")


class Sitters:
    """Two connections from a machine that is cut off: a client that waits, and a client that the server waits for."""

    def __init__(self, host: Host) -> None:
        self._site = host.site
        self._cut_at = 0.0
        self.lock_freed_after = 0.0
        self._log = host.site.folder / "sitter.log"
        environment = {**host.environment, "PYTHONPATH": str(ROOT)}
        for number, wait in enumerate(SITTERS):
            code = SITTER.format(wait=wait).replace("4711", str(4711 + number))
            command = [sys.executable, "-c", code, host.environment["DATABASE_URL"]]
            with self._log.open("ab") as log:
                host.machine.start(command, environment=environment, log=log)
        wait_for(lambda: self._log.read_text().count("sits") == len(SITTERS), within=30, what="two sitters")

    def note_cut(self) -> None:
        self._cut_at = time.time()

    @property
    def gave_up_after(self) -> float:
        """Seconds from the cut until the waiting client had an error."""
        found = re.search(r"gave up at ([0-9.]+)", self._log.read_text())
        assert found, self._log.read_text()
        return round(float(found[1]) - self._cut_at, 1)

    def look(self) -> None:
        """The server of a silent client: its lock is free as soon as the server has given it up."""
        if not self.lock_freed_after:
            sql = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4712"
            if not self._site.number(sql):
                self.lock_freed_after = round(time.time() - self._cut_at, 1)
