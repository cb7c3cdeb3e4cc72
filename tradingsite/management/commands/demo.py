"""`manage.py demo`."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from tradingsite.demo import run_demo


class Command(BaseCommand):
    help = "Start simulator, web server and worker with the day of 6 November 2025 loaded. Ctrl-C ends all of them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="of the pages: default 8000, 0 picks a free one")
        # Read by manage.py, before the settings are.
        parser.add_argument("--data-dir", metavar="D", help="where everything is kept (the same as DATA_DIR=D)")

    def handle(self, *_args: Any, **options: Any) -> None:
        run_demo(port=options["port"])
