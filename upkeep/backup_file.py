"""A backup: one zip file that holds the database and says what is in it."""

import hashlib
import json
import os
import re
import zipfile
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from upkeep.errors import UpkeepError

FORMAT = 1
NAME = "backup-{:%Y%m%d-%H%M%S}.zip"
NAMED_SO = re.compile(r"backup-\d{8}-\d{6}(-\d+)?\.zip")
UNFINISHED = ".unfinished-"
_MANIFEST, _DATABASE = "manifest.json", "database"
_CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """`vendor` is Django's word: sqlite or postgresql. `digest` is the SHA-256 of the database inside."""

    made_at: str
    vendor: str
    digest: str
    bytes: int
    migrations: dict[str, list[str]]
    rows: dict[str, int]
    format: int = FORMAT


def name_for(now: datetime, folder: Path) -> Path:
    """A name that is free: two within a second are told apart."""
    path = folder / NAME.format(now)
    number = 1
    while path.exists():
        number += 1
        path = folder / f"{NAME.format(now).removesuffix('.zip')}-{number}.zip"
    return path


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write(path: Path, manifest: Manifest, database: Path) -> None:
    """Write the file whole or not at all, readable by its owner alone: it holds everything that there is."""
    draft = path.with_name(f"{UNFINISHED}{os.getpid()}-{path.name}")
    # A dump of PostgreSQL is compressed already.
    how = zipfile.ZIP_DEFLATED if manifest.vendor == "sqlite" else zipfile.ZIP_STORED
    try:
        with os.fdopen(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as file:
            with zipfile.ZipFile(file, "w", how, compresslevel=1) as archive:
                archive.write(database, _DATABASE)
                archive.writestr(_MANIFEST, json.dumps(asdict(manifest), indent=1))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        _sync_folder(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def read_manifest(path: Path) -> Manifest:
    try:
        with zipfile.ZipFile(path) as archive:
            document = json.loads(archive.read(_MANIFEST))
        if document["format"] != FORMAT:
            raise UpkeepError(f"{path} is a backup of format {document['format']}; this version reads {FORMAT}.")
        return Manifest(**document)
    except FileNotFoundError:
        raise UpkeepError(f"There is no file {path}.") from None
    except (OSError, zipfile.BadZipFile, KeyError, TypeError, ValueError) as error:
        raise UpkeepError(f"{path} is no backup, or a torn one: {error}.") from error


def unpack(path: Path, manifest: Manifest, target: Path) -> None:
    """Write the database inside to `target`, and refuse it unless it is what was put in."""
    try:
        target.touch(mode=0o600, exist_ok=False)
        with zipfile.ZipFile(path) as archive, archive.open(_DATABASE) as packed, target.open("wb") as file:
            found = _copy(packed, file)
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        raise UpkeepError(f"{path} cannot be unpacked: {error}.") from error
    if found != manifest.digest:
        raise UpkeepError(f"{path} is damaged: its database is not the one that was put in. Take another backup file.")


def _copy(source: IO[bytes], target: IO[bytes]) -> str:
    seen = hashlib.sha256()
    while chunk := source.read(_CHUNK_BYTES):
        seen.update(chunk)
        target.write(chunk)
    return seen.hexdigest()


def _sync_folder(folder: Path) -> None:
    """The new name, too, must outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
