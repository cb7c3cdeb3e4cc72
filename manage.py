#!/usr/bin/env python
"""Django's command line. `python manage.py help` lists the commands."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingsite.settings")
    # These two choose the installation, so they must be known before the settings are read.
    if "--data-dir" in sys.argv[:-1]:
        os.environ["DATA_DIR"] = sys.argv[sys.argv.index("--data-dir") + 1]
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
