"""The web server: gunicorn inside our own command, with Django loaded once before its workers are forked."""

import socket
from collections.abc import Callable
from typing import Any

from django.core.wsgi import get_wsgi_application
from django.db import connections
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from tradingsite import log_output

#: A page waits for the database, not for the processor, so threads serve well; two processes use two cores.
THREADS = 4
STOP_WITHIN_SECONDS = 5


class GunicornLog(Logger):  # type: ignore[misc]  # gunicorn is not typed
    """Sends gunicorn's own lines the way of all others."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for log in (self.error_log, self.access_log):
            log.handlers = [log_output.handler()]


class WebServer(BaseApplication):  # type: ignore[misc]  # gunicorn is not typed
    def __init__(self, *, listener: socket.socket, workers: int) -> None:
        self._listener = listener
        self._workers = workers
        super().__init__()

    def load_config(self) -> None:
        settings = gunicorn_settings(workers=self._workers) | {"bind": [f"fd://{self._listener.detach()}"]}
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Callable[..., Any]:
        return get_wsgi_application()


def gunicorn_settings(*, workers: int) -> dict[str, Any]:
    """What gunicorn is told, whoever starts it: `manage.py web`, or gunicorn itself with deploy/gunicorn.conf.py."""
    return {
        "workers": workers,
        "worker_class": "gthread",
        "threads": THREADS,
        "preload_app": True,
        "graceful_timeout": STOP_WITHIN_SECONDS,
        "timeout": 60,
        "control_socket_disable": True,
        "proc_name": "tradingsite",
        "loglevel": "warning",
        "logger_class": GunicornLog,
        "pre_fork": close_connections,
    }


def close_connections(_server: object, _worker: object) -> None:
    """A database connection must not be shared by two processes."""
    connections.close_all()
