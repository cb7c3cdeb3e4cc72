"""Where one installation keeps its state: the folder DATA_DIR and what lies in it under which name."""

import contextlib
import os
import secrets
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

DEMO_FILE = "demo.json"
DEMO_USERS_FILE = "demo-users.json"
STATIC_FOLDER = "static"
SECRET_KEY_FILE = "secret-key"  # noqa: S105  # a file's name


def data_directory(name: str, *, base: Path) -> Path:
    """Return the installation's folder, made if it is missing; relative names count from the current folder."""
    path = Path(name).expanduser().resolve() if name else base / "var"
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(
            f"DATA_DIR {path} cannot be used: {error.strerror}. Give a folder that can be written."
        ) from error
    with contextlib.suppress(OSError):  # only the web server needs it, and only to have looked
        (path / STATIC_FOLDER).mkdir(exist_ok=True)
    return path


def run_folder() -> Path:
    """Where parents write down their children."""
    from django.conf import settings

    return Path(settings.DATA_DIR) / "run"


def secret_key(directory: Path) -> str:
    """Return the installation's own secret key; the first process to ask makes it.

    The link makes creation atomic: of two processes that start together both end with the same key.
    """
    path = directory / SECRET_KEY_FILE
    if not path.exists():
        draft = directory / f"{SECRET_KEY_FILE}.{os.getpid()}"
        try:
            draft.touch(mode=0o600)
            draft.write_text(secrets.token_urlsafe(60))
            try:
                path.hardlink_to(draft)
            except FileExistsError:
                pass
            finally:
                draft.unlink(missing_ok=True)
        except OSError as error:
            raise ImproperlyConfigured(
                f"DATA_DIR {directory} cannot be written ({error.strerror}), so no secret key can be kept there. "
                "Make it writable, or set SECRET_KEY."
            ) from error
    return path.read_text().strip()
