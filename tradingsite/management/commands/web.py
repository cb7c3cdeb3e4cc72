"""`manage.py web`."""

import socket
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from tradingsite.gunicorn_server import WebServer
from tradingsite.preconditions import ADDRESS, listening_socket, require_database
from tradingsite.processes import say


class Command(BaseCommand):
    help = f"Serve the pages on {ADDRESS} with gunicorn."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="default 8000; 0 picks a free one")
        parser.add_argument("--workers", type=int, default=2, help="processes, each with four threads (default 2)")
        parser.add_argument("--fd", type=int, help="serve this listening socket, handed down by a parent process")

    def handle(self, *_args: Any, **options: Any) -> None:
        given = options["fd"]
        listener = listening_socket(options["port"]) if given is None else socket.socket(fileno=given)
        require_database()
        say(f"web: http://{ADDRESS}:{listener.getsockname()[1]}/")
        WebServer(listener=listener, workers=max(1, options["workers"])).run()
