"""Copy an installation's database to another one, row for row, and check every table on both sides."""

import itertools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.management import call_command
from django.core.management.color import no_style
from django.db import Error as DatabaseError
from django.db import connections, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Model

from upkeep.errors import UpkeepError
from upkeep.living import living
from upkeep.moving_tables import Digest, moved_models, read_rows

SOURCE, TARGET = "copy_source", "copy_target"
CHUNK = 1000
#: What `migrate` writes by itself into an empty database, and what says nothing of anybody's work.
MADE_BY_MIGRATE = frozenset(
    {
        "django_content_type",
        "auth_permission",
        "auth_group",
        "auth_group_permissions",
        "django_q_schedule",
        "work_lease",
    }
)

log = logging.getLogger(__name__)
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    table: str
    rows: int
    digest: str


@contextmanager
def opened(alias: str, settings: dict[str, Any]) -> Iterator[None]:
    """Make a database known under the alias for as long as it is needed."""
    connections.settings[alias] = connections.configure_settings({"default": {}, alias: settings})[alias]
    try:
        yield
    finally:
        connections[alias].close()
        del connections[alias]
        del connections.settings[alias]


def copy_database(*, source: dict[str, Any], target: dict[str, Any], now: datetime, say: Say) -> list[Moved]:
    """Copy every row in one transaction of the target; refuse a source in use and a target with anything in it.

    `source` and `target` are Django's settings of a database. Nothing of a copy that fails stays but empty tables.
    """
    with opened(SOURCE, source), opened(TARGET, target):
        try:
            _refuse_other_migrations()
            _refuse_one_in_use(now)
            say("making the tables")
            call_command("migrate", database=TARGET, interactive=False, verbosity=0)
            _refuse_what_is_not_empty()
            with transaction.atomic(using=SOURCE), transaction.atomic(using=TARGET):
                return _copy(say)
        except DatabaseError as error:
            raise UpkeepError(
                f"A database refused: {str(error).strip().splitlines()[0]} Nothing was copied."
            ) from error


def _refuse_other_migrations() -> None:
    executor = MigrationExecutor(connections[SOURCE])
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise UpkeepError("The source is not up to date. Run `python manage.py migrate` on it first.")


def _refuse_one_in_use(now: datetime) -> None:
    if alive := living(now, using=SOURCE):
        raise UpkeepError(f"Stop what is running on the source first: {', '.join(alive)}. Nothing was copied.")


def _refuse_what_is_not_empty() -> None:
    for model in moved_models():
        table = model._meta.db_table
        if table not in MADE_BY_MIGRATE and model._base_manager.using(TARGET).exists():
            raise UpkeepError(f"The target is not empty: {table} has rows. Give a new database. Nothing was copied.")


def _copy(say: Say) -> list[Moved]:
    models = moved_models()
    with connections[TARGET].constraint_checks_disabled():
        _empty([model for model in models if model._meta.db_table in MADE_BY_MIGRATE])
        moved = [_copy_table(model, f"{number}/{len(models)}", say) for number, model in enumerate(models, start=1)]
    connections[TARGET].check_constraints()
    _set_sequences(models)
    for model, one in zip(models, moved, strict=True):
        _check_table(model, one)
    return moved


def _empty(models: list[type[Model]]) -> None:
    for _ in models:  # some of them point to others
        for model in models:
            model._base_manager.using(TARGET).all()._raw_delete(TARGET)


def _copy_table(model: type[Model], place: str, say: Say) -> Moved:
    digest = Digest()
    rows = read_rows(model, SOURCE, chunk=CHUNK)
    while chunk := list(itertools.islice(rows, CHUNK)):
        for row in chunk:
            digest.add(row)
            row._state.adding, row._state.db = True, TARGET
        model._base_manager.using(TARGET).bulk_create(chunk)
        if digest.rows % (20 * CHUNK) == 0:
            say(f"{place} {model._meta.db_table}: {digest.rows:,} rows so far")
    say(f"{place} {model._meta.db_table}: {digest.rows:,} rows")
    return Moved(table=model._meta.db_table, rows=digest.rows, digest=str(digest))


def _set_sequences(models: list[type[Model]]) -> None:
    """What is made next takes the number after the highest, not the first."""
    with connections[TARGET].cursor() as cursor:
        for statement in connections[TARGET].ops.sequence_reset_sql(no_style(), models):
            cursor.execute(statement)


def _check_table(model: type[Model], moved: Moved) -> None:
    there = Digest()
    for row in read_rows(model, TARGET, chunk=CHUNK):
        there.add(row)
    if (there.rows, str(there)) != (moved.rows, moved.digest):
        raise UpkeepError(
            f"{moved.table} is not the same on both sides ({moved.rows:,} and {there.rows:,} rows). Nothing was copied."
        )
