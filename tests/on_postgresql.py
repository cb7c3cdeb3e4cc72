"""`python -m tests.on_postgresql [arguments of pytest]`: the tests, with their rows in a PostgreSQL of their own."""

import os
import signal
import sys
import tempfile
from pathlib import Path

import pytest

from tests.tradingsite.stores import postgresql


def main() -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # pytest ends its run, and the server ends with it
    # A short name, since PostgreSQL's socket lies in it; closed to others only further down.
    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder:
        try:
            with postgresql(Path(folder) / "server") as address:
                os.environ["DATABASE_URL"] = address
                return pytest.main(sys.argv[1:])
        except pytest.skip.Exception as reason:
            sys.stderr.write(f"{reason}\n")
            return 2


if __name__ == "__main__":
    sys.exit(main())
