"""Fill an installation's database for the pages: python -m benchmarks.books ORDERS POSITIONS

Prints the cookie of a session of ops. The database is the one of DATABASE_URL.
"""

import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.page_settings")

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402

from broker.models import Account  # noqa: E402
from tests.crowds import Size, fill_books  # noqa: E402
from tradingsite.people import OPS, ensure_person  # noqa: E402

#: Orders are written in parts, so that the rows of the large books need not all be in memory.
PART = 10_000


def main(orders: int, positions: int) -> None:
    call_command("migrate", verbosity=0)
    account = Account.objects.get_or_create(slug="sim", defaults={"name": "Simulator"})[0]
    # As many differences and runs in both: a page that shows more has more to do, whatever lies in the tables.
    fill_books(account, Size(batches=60, runs=60, entries=100, drifts=40, positions=positions))
    for begun in range(0, orders, PART):
        fill_books(account, Size(orders=min(PART, orders - begun)))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    ensure_person(username="ops", group=OPS)
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(User.objects.get(username="ops"))
    print(f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
