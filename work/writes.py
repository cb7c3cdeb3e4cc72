"""Has anything been written to the database since? SQLite says it without being asked for rows."""

from django.db.backends.base.base import BaseDatabaseWrapper

#: The connection itself, since versions of two connections do not compare; changes by it; changes by others.
Mark = tuple[object, int, int]


def mark_of(connection: BaseDatabaseWrapper) -> Mark | None:
    """Return what differs as soon as anybody has committed a write, this connection itself among them.

    `PRAGMA data_version` changes with what others commit (https://sqlite.org/pragma.html#pragma_data_version), and
    counts for this connection only. None: this database cannot say, so it has to be asked.
    """
    if connection.vendor != "sqlite":
        return None
    connection.ensure_connection()
    opened = connection.connection
    with connection.wrap_database_errors:  # straight to the driver: it is asked a hundred times a second
        version: int = opened.execute("PRAGMA data_version").fetchone()[0]
    return opened, opened.total_changes, version
