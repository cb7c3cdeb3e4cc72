"""Put a backup in the place of the database, so that nobody trades on the old books before they are checked."""

import logging
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.loader import MigrationLoader
from django_q.models import OrmQ

from audit import journal
from broker.models import Account
from reconciliation.models import Run
from reconciliation.running import request_run
from upkeep import engines
from upkeep.backing_up import make_backup
from upkeep.backup_file import Manifest, name_for, read_manifest, unpack
from upkeep.errors import UpkeepError
from upkeep.living import living
from work.models import Heartbeat, Lease

#: What was under way when the backup was made.
_EMPTIED = (Session, OrmQ, Lease, Heartbeat)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    manifest: Manifest
    replaced: Path | None  # a backup of what was there before; None where nothing was
    accounts: list[str]


def check(path: Path, *, now: datetime) -> Manifest:
    """Refuse whatever cannot be restored here and now; change nothing."""
    manifest = read_manifest(path)
    if manifest.vendor != connection.vendor:
        raise UpkeepError(
            f"{path} was made of {manifest.vendor}, and this database is {connection.vendor}. "
            "Restore it where it came from, then move it with `manage.py copy_database`."
        )
    known = {f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations or {}}
    unknown = [f"{app}.{name}" for app, names in manifest.migrations.items() for name in names]
    if newer := sorted(set(unknown) - known):
        raise UpkeepError(f"{path} was made by a newer version: {newer[0]} is not known here. Install that version.")
    if _has_tables() and (alive := living(now)):
        raise UpkeepError(f"Stop what is running first: {', '.join(alive)}. Nothing was changed.")
    return manifest


def restore(path: Path, *, actor: str, now: datetime) -> Restored:
    """Replace the database by the backup. A backup of what it replaces is kept beside the others.

    The books are as old as the backup, and Alpaca went on: nothing is sent until a person has seen a full run.
    """
    manifest = check(path, now=now)
    replaced = _keep_what_is_there(now)
    folder = Path(settings.DATA_DIR)
    with tempfile.TemporaryDirectory(prefix=".unfinished-restore-", dir=folder) as unfinished:
        copy = Path(unfinished) / "database"
        unpack(path, manifest, copy)
        engines.load(copy, _changes(manifest, actor))
    _compare(manifest, replaced)
    call_command("migrate", interactive=False, verbosity=0)
    accounts = _wish_for_runs(path, manifest, actor, now)
    log.warning("database restored from %s, made %s, by %s", path, manifest.made_at, actor)
    return Restored(manifest=manifest, replaced=replaced, accounts=accounts)


def _has_tables() -> bool:
    return Lease._meta.db_table in connection.introspection.table_names()


def _keep_what_is_there(now: datetime) -> Path | None:
    if not _has_tables():
        return None
    folder = Path(settings.BACKUP_DIR)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = name_for(now, folder).name.replace("backup-", "replaced-", 1)
    return make_backup(to=folder / name, now=now)


def _changes(manifest: Manifest, actor: str) -> list[str]:
    """What must be so from the first moment: killed right after it, too, nothing is sent on old books.

    And nothing goes on that was under way when the backup was made; log-ins that were ended since stay ended.
    """
    reason = f"Restored from a backup of {manifest.made_at}: check a full run, then send again."
    halt = (
        f"UPDATE {Account._meta.db_table} SET sending_halted = TRUE, halted_at = CURRENT_TIMESTAMP, "  # noqa: S608
        f"halted_by = {_quoted(actor[:150])}, halted_reason = {_quoted(reason)} WHERE NOT sending_halted"
    )
    return [halt, *(f"DELETE FROM {model._meta.db_table}" for model in _EMPTIED)]  # noqa: S608  # our own names


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _compare(manifest: Manifest, replaced: Path | None) -> None:
    emptied = {model._meta.db_table for model in _EMPTIED}
    found = engines.rows()
    differing = [name for name in found if name not in emptied and found[name] != manifest.rows.get(name)]
    if differing:
        before = f" What was there before is in {replaced}." if replaced else ""
        raise UpkeepError(f"Restored, but not equal to the backup in {', '.join(sorted(differing))}.{before}")


def _wish_for_runs(path: Path, manifest: Manifest, actor: str, now: datetime) -> list[str]:
    with transaction.atomic():
        accounts = list(Account.objects.active().order_by("slug"))
        for account in accounts:
            request_run(account=account, trigger=Run.Trigger.DEMAND, requested_by=actor, now=now, is_full=True)
        journal.record(
            at=now,
            actor=actor,
            action="database.restored",
            subject_type="backup",
            subject_id=path.name,
            summary=f"Restored the database from {path.name}, made {manifest.made_at}, and halted all sending",
            after={"digest": manifest.digest, "rows": sum(manifest.rows.values())},
        )
    return [account.slug for account in accounts]
