"""Make backups while everything runs, and keep the newest ones."""

import contextlib
import logging
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings
from django.db import connection

from upkeep import engines
from upkeep.backup_file import NAMED_SO, UNFINISHED, Manifest, digest_of, name_for, write
from upkeep.errors import UpkeepError

#: What a killed backup left behind is nobody's any more after this.
ABANDONED_AFTER_SECONDS = 6 * 3600

log = logging.getLogger(__name__)


def make_backup(*, to: Path | None, now: datetime) -> Path:
    """Write one backup and return its file. `to` is a folder or the name of a file; without it, BACKUP_DIR.

    Only in BACKUP_DIR older ones make room, and only after the new one is there.
    """
    folder, path = _place(to, now)
    with _refused_by_the_disk(folder):
        _remove_abandoned(folder)
        with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=folder) as unfinished:
            copy = Path(unfinished) / "database"
            rows = engines.dump(copy)
            manifest = Manifest(
                made_at=now.isoformat(),
                vendor=connection.vendor,
                digest=digest_of(copy),
                bytes=copy.stat().st_size,
                migrations=engines.applied_migrations(),
                rows=rows,
            )
            write(path, manifest, copy)
    if to is None:
        _keep_newest(folder)
    log.info("backup %s made: %s rows, %s bytes", path, sum(rows.values()), path.stat().st_size)
    return path


def newest_backup_at(folder: Path) -> datetime | None:
    """When the newest backup of the folder was made, by its name: a copied file has another time."""
    made = [path.name[7:22] for path in folder.glob("backup-*.zip") if NAMED_SO.fullmatch(path.name)]
    return datetime.strptime(max(made), "%Y%m%d-%H%M%S").replace(tzinfo=UTC) if made else None


def _place(to: Path | None, now: datetime) -> tuple[Path, Path]:
    folder = Path(settings.BACKUP_DIR) if to is None else to
    if to is not None and to.suffix == ".zip":
        if to.exists():
            raise UpkeepError(f"{to} is there already. Give another name, or a folder.")
        return to.parent, to
    with _refused_by_the_disk(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder, name_for(now, folder)


@contextlib.contextmanager
def _refused_by_the_disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UpkeepError(f"{folder} cannot be written: {(error.strerror or str(error)).lower()}.") from error


def _remove_abandoned(folder: Path) -> None:
    for path in folder.glob(f"{UNFINISHED}*"):
        if time.time() - path.stat().st_mtime < ABANDONED_AFTER_SECONDS:
            continue
        for inside in path.iterdir() if path.is_dir() else ():
            inside.unlink()
        path.rmdir() if path.is_dir() else path.unlink()


def _keep_newest(folder: Path) -> None:
    named = sorted(path for path in folder.iterdir() if NAMED_SO.fullmatch(path.name))
    for path in named[: -settings.BACKUPS_KEPT]:
        path.unlink(missing_ok=True)
        log.info("backup %s made room", path)
