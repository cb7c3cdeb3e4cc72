"""`manage.py stream`."""

import signal
import threading
from argparse import ArgumentParser
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from alerts.lookout import Lookout
from broker.accounts import account_by_slug
from broker.errors import BrokerError
from orders.errors import OrdersError
from orders.stream_following import follow_stream
from tradingsite.preconditions import require_database
from tradingsite.processes import say
from tradingsite.stream_doubts import look_into


class Command(BaseCommand):
    help = (
        "Follow Alpaca's trade_updates until stopped, and book fills and states as they happen. Lost connections are "
        "made again, and what was missed is read. Exit status: 0 when stopped, 2 when it cannot be followed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--account", metavar="A", help="the account's slug (default: the one of ALPACA_ENV)")

    def handle(self, *_args: Any, **options: Any) -> None:
        require_database()
        stop = threading.Event()

        def note_signal(_number: int, _frame: FrameType | None) -> None:
            stop.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, note_signal)
        lookout = Lookout()
        lookout.start()
        try:
            account = account_by_slug(options["account"])
            follow_stream(
                account=account,
                stop=stop,
                on_doubt=lambda doubt: look_into(account=account, doubt=doubt, now=timezone.now()),
                on_open=lambda url: say(f"stream: following {account} at {url}"),
            )
        except (BrokerError, OrdersError) as error:
            raise CommandError(str(error), returncode=2) from error
        finally:
            lookout.stop()
        say("stream: stopped")
