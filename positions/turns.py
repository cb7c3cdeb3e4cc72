"""One at a time: whoever rewrites the positions of an account waits for whoever is doing so."""

from django.db import connection

from broker.models import Account
from positions.in_force import ensure_default_parameters
from positions.models import RiskParameters


def take_turn(account: Account) -> None:
    """Call it first in a transaction, before anything is read: it holds the account's positions until the end.

    Two folds at the same time would each miss the fills that the other has not committed, and the later write would
    stand. An UPDATE locks its row on every database that has row locks, and what is read after it sees what the
    other committed. SQLite has one writer at a time, from BEGIN IMMEDIATE on: there it would only be a needless write.
    """
    ensure_default_parameters(account)
    if connection.vendor != "sqlite":
        RiskParameters.objects.filter(account=account, symbol="").update(symbol="")
