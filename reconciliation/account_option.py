"""What the commands of this package share: the account option, sentences instead of tracebacks, one JSON document."""

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import CommandError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import OperationalError

from broker.accounts import account_by_slug
from broker.errors import BrokerError
from broker.models import Account
from reconciliation.errors import ReconciliationError


def add_account_option(parser: ArgumentParser) -> None:
    parser.add_argument("--account", metavar="A", help="short name of the account (default: the one of ALPACA_ENV)")


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what a person can act on into one sentence and exit status 2."""
    try:
        yield
    except (BrokerError, ReconciliationError) as error:
        raise CommandError(str(error), returncode=2) from error
    except OperationalError as error:
        raise CommandError(
            f"The database cannot be used: {error}. Check that DATA_DIR is writable and that `migrate` was run.",
            returncode=2,
        ) from error


def chosen_account(slug: str | None) -> Account:
    return account_by_slug(slug)


def as_json(document: Any) -> str:
    return json.dumps(document, indent=2, cls=DjangoJSONEncoder, ensure_ascii=False)
