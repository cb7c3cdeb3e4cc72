"""What must be true before a program of ours starts; if it is not, one sentence says so and the status is 2."""

import socket

from django.core.management.base import CommandError
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.executor import MigrationExecutor

from tradingsite.common_ground import disagreement

ADDRESS = "127.0.0.1"


def refusal(sentence: str) -> CommandError:
    return CommandError(sentence, returncode=2)


def require_database() -> None:
    """Refuse a database that nobody has set up, or whose other hosts have another key or time.

    One that cannot be reached raises OperationalError by itself.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if missing:
        raise refusal("The database is not up to date. Run `python manage.py migrate` first.")
    if sentence := disagreement():
        raise refusal(sentence)


def listening_socket(port: int) -> socket.socket:
    """Take the port now, so that whoever is refused is refused before anything has started. 0 takes any free one."""
    if not 0 <= port <= 65535:
        raise refusal(f"--port is a number from 0 to 65535, was {port}.")
    taken = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((ADDRESS, port))
        taken.listen(64)
    except OSError as error:
        taken.close()
        raise refusal(
            f"Port {port} of {ADDRESS} cannot be used ({(error.strerror or 'refused').lower()}). "
            "Give another one with --port, or --port 0 for any that is free."
        ) from error
    return taken


def free_port() -> int:
    with listening_socket(0) as probe:
        return int(probe.getsockname()[1])
