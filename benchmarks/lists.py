"""Measure every list page with few rows and with many, side by side: python -m benchmarks.lists

Small: 100 orders and 10 positions; large: 100,000 and 1,000. Each address is asked in turn of the small and of the
large database, so that what disturbs one disturbs the other; the medians are compared. A page of 50 rows takes
longer to write than one of 10: only addresses that show as many rows of both are compared with the limit.

BENCHMARK_DIR keeps the two databases for the next time.
"""

import argparse
import os
import sys
import time
from statistics import median

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402

from benchmarks.sizes import LARGE, SMALL, ask  # noqa: E402
from broker.models import Account  # noqa: E402
from orders.listing import TABLE as ORDERS  # noqa: E402
from orders.models import Order  # noqa: E402
from positions.listing import TABLE as POSITIONS  # noqa: E402
from positions.models import Position  # noqa: E402
from tests.crowds import COMMON_SYMBOL, Size, fill_books  # noqa: E402
from tradingsite.people import OPS, ensure_person  # noqa: E402

SIZES = {
    SMALL: Size(orders=100, batches=60, positions=10, runs=60, entries=100, drifts=40),
    LARGE: Size(orders=100_000, batches=1_000, positions=1_000, runs=1_000, entries=20_000, drifts=200),
}
LIMIT = 1.5


def prepare() -> None:
    for alias, size in SIZES.items():
        ask(alias)
        call_command("migrate", database=alias, verbosity=0)
        account, is_new = Account.objects.get_or_create(slug="sim", defaults={"name": "Simulator"})
        if is_new:
            fill_books(account, size)
        ensure_person(username="ops", group=OPS)


def client_of(alias: str) -> Client:
    from django.contrib.auth.models import User

    ask(alias)
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(User.objects.get(username="ops"))
    return client


def addresses() -> list[str]:
    """Every sort in both directions, every filter, first and last page. {order} and {position} are one row's ids."""
    found = ["/", "/orders/", "/orders/{order}/", "/positions/{position}/", "/orders/?page=last", "/orders/?page=2"]
    for column in ORDERS.columns:
        if column.sort_field:
            found += [f"/orders/?sort={column.name}", f"/orders/?sort=-{column.name}"]
    found += [
        f"/orders/?symbol={COMMON_SYMBOL}",
        "/orders/?symbol=S007",
        "/orders/?status=filled",
        "/orders/?status=expired",
        "/orders/?status=working",
        "/orders/?submission_state=confirmed",
        "/orders/?submission_state=rejected",
        "/orders/?batch=1",
        "/orders/?q=crowd",
        "/orders/?q=crowd-01",
        "/orders/?q=qcom",
        "/orders/?q=nothing-like-it",
        "/orders/?status=filled&sort=-filled_qty",
        "/orders/?status=canceled&sort=-filled_qty",
        "/orders/?status=filled&sort=symbol",
        f"/orders/?symbol={COMMON_SYMBOL}&sort=qty&status=filled",
        "/orders/?status=filled&page=last",
    ]
    found += ["/positions/", "/positions/?rows=10"]
    for position_column in POSITIONS.columns:
        if position_column.sort_field:
            name = position_column.name
            found += [f"/positions/?rows=10&sort={name}", f"/positions/?rows=10&sort=-{name}"]
    found += [
        f"/positions/?rows=10&{query}"
        for query in ("status=open", "status=closed", "side=long", "side=short", "q=P00", "symbol=P0001", "drift=yes")
    ]
    found += ["/audit/", "/audit/?actor=ops", "/audit/?action=fix.applied", "/audit/?q=qcom", "/audit/?sort=actor"]
    found += ["/reconciliation/", "/reconciliation/runs/", "/reconciliation/runs/?state=drift", "/batches/"]
    found += ["/batches/?sort=-orders", "/batches/?state=halted", "/batches/?q=morning", "/protection/", "/insight/"]
    return found


def fill_in(address: str, alias: str) -> str:
    ask(alias)
    size = SIZES[alias]
    middle = Order.objects.order_by("pk")[size.orders // 2].pk
    position = Position.objects.order_by("pk")[size.positions // 2].pk
    last = str(size.orders // 50)
    if "status=filled" in address:
        last = str(Order.objects.filter(status="filled").count() // 50)
    return address.format(order=middle, position=position).replace("page=last", f"page={last}")


def measure(address: str, clients: dict[str, Client], times: int) -> tuple[dict[str, float], dict[str, int]]:
    taken: dict[str, list[float]] = {alias: [] for alias in clients}
    rows: dict[str, int] = {}
    paths = {alias: fill_in(address, alias) for alias in clients}
    for number in range(times + 2):
        for alias, client in clients.items():
            ask(alias)
            start = time.perf_counter()
            response = client.get(paths[alias])
            seconds = time.perf_counter() - start
            if response.status_code != 200:
                sys.exit(f"{paths[alias]} answered {response.status_code}")
            body = response.content.partition(b"<tbody>")[2].partition(b"</tbody>")[0]
            rows[alias] = body.count(b"<tr>")
            if number >= 2:  # the first ones fill caches
                taken[alias].append(seconds)
    return {alias: median(values) * 1000 for alias, values in taken.items()}, rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the list pages with few rows and with many.")
    parser.add_argument("--times", type=int, default=15, help="How often each address is asked.")
    parser.add_argument("--only", default="", help="Only addresses with this text.")
    options = parser.parse_args()
    prepare()
    clients = {alias: client_of(alias) for alias in SIZES}
    print(f"{'address':52} {'small':>8} {'large':>8} {'ratio':>6}  rows")
    slow = 0
    for address in addresses():
        if options.only not in address:
            continue
        medians, rows = measure(address, clients, options.times)
        ratio = medians[LARGE] / medians[SMALL]
        is_alike = rows[LARGE] == rows[SMALL]
        mark = "  more to show" if not is_alike else "  <-- slow" if ratio > LIMIT else ""
        slow += is_alike and ratio > LIMIT
        counts = f"{rows[SMALL]}/{rows[LARGE]}"
        print(f"{address:52} {medians[SMALL]:6.1f}ms {medians[LARGE]:6.1f}ms {ratio:6.2f}  {counts}{mark}", flush=True)
    print(f"{slow} of those that show as many rows take more than {LIMIT} times as long with many rows.")


if __name__ == "__main__":
    main()
