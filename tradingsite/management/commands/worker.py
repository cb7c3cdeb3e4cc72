"""`manage.py worker`."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from alerts.lookout import Lookout
from tradingsite.installation import run_folder
from tradingsite.people import ensure_groups
from tradingsite.preconditions import require_database
from tradingsite.processes import Supervisor, say
from tradingsite.schedules import sync_schedules
from tradingsite.survivors import Register, sweep
from tradingsite.ticker import Ticker
from tradingsite.worker import run_worker
from work.heartbeat import forget_ended_here


class Command(BaseCommand):
    help = "Do the queued and the due work until stopped: a django-q2 cluster with a ticker and a watchdog beside it."

    def handle(self, *_args: Any, **_options: Any) -> None:
        require_database()
        if survivors := sweep(run_folder(), data_dir=settings.DATA_DIR):
            say(f"ended {survivors} processes that had outlived an earlier worker")
        forget_ended_here()
        ensure_groups()
        sync_schedules()
        lookout = Lookout()
        lookout.start()
        try:
            with Supervisor(register=Register(run_folder())) as supervisor:
                run_worker(supervisor=supervisor, ticker=Ticker())
        finally:
            lookout.stop()
