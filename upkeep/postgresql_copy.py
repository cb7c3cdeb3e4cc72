"""Copy a PostgreSQL database that is in use, by the server's own programs."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from django.db import connection, transaction

from upkeep.errors import UpkeepError

_SECONDS_FOR_LOCKS = 10


def dump(path: Path) -> dict[str, int]:
    """Write a dump as of one moment, and return how many rows each table has in it.

    The rows are counted in the transaction whose snapshot pg_dump reads.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute("SELECT pg_export_snapshot()")
        (snapshot,) = cursor.fetchone()
        _run("pg_dump", "--format=custom", "--no-owner", "--no-privileges", "--no-comments",
             "--schema=public", f"--snapshot={snapshot}", f"--file={path}")  # fmt: skip
        path.chmod(0o600)
        return _rows()


def load(path: Path, changes: Sequence[str]) -> None:
    """Replace every table by those of the dump, then change them, in one transaction."""
    script, before, after = (path.with_suffix(suffix) for suffix in (".sql", ".before.sql", ".after.sql"))
    try:
        script.touch(mode=0o600)
        _run("pg_restore", "--clean", "--if-exists", "--no-owner", "--no-privileges", f"--file={script}", str(path))
        # What a newer version added is not in the dump, and would stay.
        before.write_text("".join(f'DROP TABLE IF EXISTS public."{name}" CASCADE;\n' for name in _tables()))
        # pg_restore leaves an empty search path behind.
        after.write_text("".join(f"{statement};\n" for statement in ("SET search_path = public", *changes)))
        connection.close()  # else its own locks would be waited for
        _run("psql", "--quiet", "--no-psqlrc", "--single-transaction", "--set=ON_ERROR_STOP=1", "--output=/dev/null",
             *(f"--file={part}" for part in (before, script, after)))  # fmt: skip
    finally:
        for part in (before, script, after):
            part.unlink(missing_ok=True)


def rows() -> dict[str, int]:
    return _rows()


def _rows() -> dict[str, int]:
    found = {}
    with connection.cursor() as cursor:
        for name in _tables():
            cursor.execute(f'SELECT count(*) FROM "{name}"')  # noqa: S608  # names of our own tables
            found[name] = cursor.fetchone()[0]
    return found


def _tables() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename")
        return [name for (name,) in cursor.fetchall()]


def _run(program: str, *arguments: str) -> None:
    """The login goes by the environment: arguments are shown to everybody on the computer."""
    if shutil.which(program) is None:
        raise UpkeepError(f"{program} is not installed. It comes with the package postgresql-client.")
    used = connection.settings_dict
    login = {
        "PGHOST": used["HOST"],
        "PGPORT": str(used["PORT"] or ""),
        "PGUSER": used["USER"],
        "PGPASSWORD": used["PASSWORD"],
        "PGDATABASE": used["NAME"],
        "PGOPTIONS": f"-c lock_timeout={_SECONDS_FOR_LOCKS}s -c client_min_messages=warning",
    }
    environment = os.environ | {name: value for name, value in login.items() if value}
    done = subprocess.run([program, *arguments], env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        told = done.stderr.strip().splitlines()
        raise UpkeepError(f"{program} failed: {told[-1] if told else 'it did not say why'}")
