"""The demo's three log-ins. Their passwords are made at the first start and kept: later starts print the same."""

import json
import secrets
from pathlib import Path

from django.contrib.auth.models import User

from tradingsite.people import ADMIN, OPS, TRADER, ensure_groups, ensure_person
from tradingsite.private_file import write_private

MAY = {
    TRADER: "sees everything",
    OPS: "also runs, approves, ignores and undoes",
    ADMIN: "also sets parameters and people",
}

Login = dict[str, str]


def ensure_logins(path: Path) -> list[Login]:
    """Return username, password and group of each, and make whoever is missing."""
    try:
        kept = {str(row["username"]): str(row["password"]) for row in json.loads(path.read_text())}
    except (OSError, ValueError, TypeError, KeyError):
        kept = {}
    logins = [{"username": name, "password": kept.get(name) or _new_password(), "group": name} for name in MAY]
    ensure_groups()
    known = set(User.objects.filter(username__in=MAY).values_list("username", flat=True))
    for login in logins:
        # Hashing a password takes long by intention: only where it is needed.
        if login["username"] not in known or login["username"] not in kept:
            ensure_person(**login)
    write_private(path, logins)
    return logins


def _new_password() -> str:
    return secrets.token_urlsafe(9)
