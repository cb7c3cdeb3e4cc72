"""`manage.py check_broker`."""

import json
from argparse import ArgumentParser
from dataclasses import dataclass
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, ProgrammingError

from broker.accounts import account_by_slug, base_url
from broker.errors import BrokerError
from broker.gateway import Gateway, open_gateway
from broker.models import Account
from broker.numbers import plain
from broker.times import NEW_YORK, rfc3339
from broker.types import BrokerAccount, BrokerClock, BrokerOrder, BrokerPosition


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    account: BrokerAccount
    clock: BrokerClock
    open_orders: list[BrokerOrder]
    positions: list[BrokerPosition]
    api_calls: int


class Command(BaseCommand):
    help = (
        "Show what Alpaca itself says: account, clock, open orders and positions. Nothing is stored. "
        "Exit status: 0, or 2 when Alpaca cannot be asked."
    )
    # They import the views of every page, of which nothing is wanted here: a quarter of the time until the answer.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--account", metavar="A", help="the account's slug (default: the one of ALPACA_ENV)")
        parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            account = account_by_slug(options["account"])
            reading = read_all(open_gateway(account))
        except BrokerError as error:
            raise CommandError(str(error), returncode=2) from error
        except (OperationalError, ProgrammingError) as error:
            text = f"The database cannot be used ({error}). If it is new, run `python manage.py migrate` first."
            raise CommandError(text, returncode=2) from error
        if options["json"]:
            self.stdout.write(json.dumps(as_document(account, reading), indent=2))
        else:
            self.stdout.write("\n".join(as_lines(account, reading)))


def read_all(gateway: Gateway) -> Reading:
    return Reading(
        account=gateway.get_account(),
        clock=gateway.get_clock(),
        open_orders=[order for page in gateway.open_orders() for order in page.orders],
        positions=gateway.list_positions(),
        api_calls=gateway.calls,
    )


def as_document(account: Account, reading: Reading) -> dict[str, Any]:
    """Alpaca's own objects, as they came."""
    clock = reading.clock
    return {
        "account": account.slug,
        "environment": account.environment,
        "url": base_url(account),
        "api_calls": reading.api_calls,
        "broker_account": reading.account.raw,
        "clock": {
            "timestamp": rfc3339(clock.timestamp),
            "is_open": clock.is_open,
            "next_open": rfc3339(clock.next_open),
            "next_close": rfc3339(clock.next_close),
        },
        "open_orders": [order.raw for order in reading.open_orders],
        "positions": [position.raw for position in reading.positions],
    }


def as_lines(account: Account, reading: Reading) -> list[str]:
    facts, clock = reading.account, reading.clock
    market = "open" if clock.is_open else "closed"
    turn = ("closes", clock.next_close) if clock.is_open else ("opens", clock.next_open)
    return [
        f"{account} at {base_url(account)}",
        f"account {facts.account_number}, {facts.status}: equity ${plain(facts.equity)}, cash ${plain(facts.cash)}, "
        f"buying power ${plain(facts.buying_power)}",
        f"market is {market}, {turn[0]} {turn[1].astimezone(NEW_YORK):%a %d %b %Y %H:%M} New York time",
        f"{len(reading.open_orders)} open orders",
        *(f"  {_order_line(order)}" for order in reading.open_orders),
        f"{len(reading.positions)} positions",
        *(f"  {p.symbol} {plain(p.qty)} at ${plain(p.avg_entry_price)}" for p in reading.positions),
    ]


def _order_line(order: BrokerOrder) -> str:
    size = plain(order.qty) if order.qty is not None else f"${plain(order.notional)}"
    prices = (
        f"{word} ${plain(price)}" for word, price in (("limit", order.limit_price), ("stop", order.stop_price)) if price
    )
    return " ".join(
        [order.side, str(size), order.symbol, order.order_type, *prices, order.status, order.client_order_id]
    )
