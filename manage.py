#!/usr/bin/env python
"""Django's command line. `python manage.py help` lists the commands."""

import os
import sys


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingsite.settings")
    _choose_installation(sys.argv)
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db.utils import OperationalError

    try:
        settings.DATA_DIR  # noqa: B018  # reads the settings, which may refuse the environment
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        return _refuse(str(error))
    except OperationalError as error:
        if "--traceback" in sys.argv:
            raise
        return _refuse(f"The database cannot be used: {str(error).strip()}.")
    except BrokenPipeError:  # whoever read our output has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _choose_installation(arguments: list[str]) -> None:
    """--data-dir means the same as DATA_DIR, and must be known before the settings are read."""
    for place, argument in enumerate(arguments):
        name, is_joined, value = argument.partition("=")
        if name == "--data-dir":
            used = 1 if is_joined else 2
            os.environ["DATA_DIR"] = value if is_joined else "".join(arguments[place + 1 : place + 2])
            del arguments[place : place + used]
            return


def _refuse(sentence: str) -> int:
    sys.stderr.write(f"{sentence}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
