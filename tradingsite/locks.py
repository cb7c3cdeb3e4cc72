"""Locks on the installation's folder, which the system gives back when their holder dies."""

import fcntl
import os
from pathlib import Path

from tradingsite.preconditions import refusal


class FolderLock:
    """Held from `take` to the end of the process. Children do not inherit it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def take(self) -> bool:
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise refusal(
                f"DATA_DIR {self._path.parent} cannot be written ({(error.strerror or 'refused').lower()}). "
                "Make it writable, or give another folder with --data-dir."
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def give_back(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
