"""Read settings from the environment, strictly: nonsense is refused with the variable's name and what it may be."""

from datetime import time
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

YES_OR_NO = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
DATABASES = {"sqlite", "postgres", "postgresql"}
LOG_LEVELS = {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}


class Environment:
    """django-environ, with a sentence instead of a traceback or of a guess."""

    def __init__(self) -> None:
        self._env = environ.Env()

    def read_file(self, path: object) -> None:
        self._env.read_env(path)

    def text(self, name: str, default: str = "") -> str:
        return str(self._env.str(name, default=default))

    def names(self, name: str, default: list[str]) -> list[str]:
        return list(self._env.list(name, default=default))

    def switch(self, name: str) -> bool:
        """Off unless it is set: a switch that is misspelt must not be taken for either."""
        text = self.text(name).strip().lower()
        if text and text not in YES_OR_NO:
            raise _refusal(name, "1 or 0", text)
        return YES_OR_NO.get(text, False)

    def count(self, name: str, default: int, *, least: int = 1) -> int:
        text = self.text(name) or str(default)
        if not (text.isascii() and text.isdigit()) or int(text) < least:
            raise _refusal(name, f"a whole number from {least}", text)
        return int(text)

    def seconds(self, name: str, default: float) -> float:
        """Return a number from 0; hours are read alike."""
        text = self.text(name) or str(default)
        try:
            number = float(text)
        except ValueError:
            number = -1.0
        if not 0 <= number < float("inf"):
            raise _refusal(name, "a number from 0", text)
        return number

    def choice(self, name: str, choices: set[str], default: str) -> str:
        text = self.text(name) or default
        if text not in choices:
            raise _refusal(name, ", ".join(sorted(choices)), text)
        return text

    def address(self, name: str, *schemes: str) -> str:
        """Return an address of one of the schemes, or nothing."""
        text = self.text(name)
        if text and (urlsplit(text).scheme not in schemes or not urlsplit(text).netloc):
            raise _refusal(name, f"an address that begins with {' or '.join(f'{s}://' for s in schemes)}", text)
        return text

    def wall_clock(self, name: str, default: str) -> str:
        text = self.text(name) or default
        try:
            time.fromisoformat(text)
        except ValueError as error:
            raise _refusal(name, "a time such as 08:00", text) from error
        return text

    def database(self, name: str, default: str) -> dict[str, Any]:
        """The address holds a password, so a refusal never repeats it."""
        url = self.text(name) or default
        scheme = url.partition("://")[0]
        try:
            if scheme not in DATABASES:
                raise ValueError(scheme)
            return dict(self._env.db_url_config(url))
        except (ValueError, KeyError, ImproperlyConfigured) as error:
            expected = "sqlite:///file or postgres://user:password@host/name"
            raise ImproperlyConfigured(f"{name} cannot be used: {expected} was expected.") from error


def _refusal(name: str, expected: str, found: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{name} is {expected}, was {found!r}.")
