"""How a connection to PostgreSQL behaves when the network between the hosts fails.

A connection over a dead network hangs for hours on the system's defaults: a worker would sit on its lease's work long
after another one has taken it over, and the server would keep the locks of a host that is no more. Both ends notice
within about ten seconds, less than the shortest lease (15 s).
"""

from typing import Any

#: Until a new connection must stand, for each address of the server.
CONNECT_SECONDS = 4
#: A silent connection is asked after so long, then each so often, and given up after so many questions.
_IDLE_SECONDS, _ASK_EVERY_SECONDS, _QUESTIONS = 4, 2, 3
#: What was sent and is not acknowledged for so long.
_UNACKNOWLEDGED_MS = 10_000
#: A wait for a lock is not endless, as on SQLite. Nobody of ours is silent in a transaction: one that is was cut off.
_LOCK_SECONDS = _SILENT_IN_TRANSACTION_SECONDS = 60

_SERVER_SIDE = {
    "tcp_keepalives_idle": _IDLE_SECONDS,
    "tcp_keepalives_interval": _ASK_EVERY_SECONDS,
    "tcp_keepalives_count": _QUESTIONS,
    "tcp_user_timeout": _UNACKNOWLEDGED_MS,
    "lock_timeout": f"{_LOCK_SECONDS}s",
    "idle_in_transaction_session_timeout": f"{_SILENT_IN_TRANSACTION_SECONDS}s",
}
OPTIONS: dict[str, Any] = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives": 1,
    "keepalives_idle": _IDLE_SECONDS,
    "keepalives_interval": _ASK_EVERY_SECONDS,
    "keepalives_count": _QUESTIONS,
    "tcp_user_timeout": _UNACKNOWLEDGED_MS,
    "options": " ".join(f"-c {name}={value}" for name, value in _SERVER_SIDE.items()),
}


def tuned(database: dict[str, Any]) -> dict[str, Any]:
    """Return the database with these options; those of DATABASE_URL itself (`?connect_timeout=9`) come before."""
    return {
        **database,
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {**OPTIONS, **database.get("OPTIONS", {})},
    }
