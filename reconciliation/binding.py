"""Make sure that the books and the brokerage account belong together."""

from datetime import datetime

from django.db import transaction

from audit import journal
from broker.models import Account
from broker.types import BrokerAccount
from reconciliation.errors import AccountReset, WrongAccount


def check_account(*, account: Account, found: BrokerAccount, now: datetime) -> None:
    """Bind the books to the account at the first read; refuse any other account from then on."""
    if not account.is_bound:
        _bind(account, found, now)
    if account.broker_account_id == found.account_id:
        return
    if account.bound_at and found.created_at and found.created_at > account.bound_at:
        raise AccountReset(
            f"Alpaca shows account {found.account_number}, made {found.created_at:%Y-%m-%d %H:%M} UTC, after these "
            f"books were bound to {account.broker_account_number}: the account was reset. Nothing was changed. "
            "Start a new account row for it, or give the old keys."
        )
    raise WrongAccount(
        f"These books belong to account {account.broker_account_number}, but the keys open {found.account_number}. "
        "Nothing was changed. Check the keys of this installation."
    )


def _bind(account: Account, found: BrokerAccount, now: datetime) -> None:
    with transaction.atomic():
        bound = Account.objects.filter(pk=account.pk, broker_account_id="").update(
            broker_account_id=found.account_id, broker_account_number=found.account_number, bound_at=now
        )
        if bound:
            journal.record(
                at=now,
                actor="system:reconciliation",
                action="account.bound",
                account=account.slug,
                subject_type="account",
                subject_id=account.pk,
                summary=f"The books of {account.slug} were bound to account {found.account_number}.",
                after={"broker_account_id": found.account_id, "broker_account_number": found.account_number},
            )
    account.refresh_from_db()
