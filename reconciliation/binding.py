"""Make sure that the books and the brokerage account belong together."""

from collections.abc import Collection
from datetime import datetime

from django.db import transaction

from audit import journal
from broker.errors import NotFound
from broker.gateway import Gateway
from broker.models import Account
from broker.types import BrokerAccount
from orders.models import Order
from reconciliation.errors import AccountReset, WrongAccount


def check_account(
    *, account: Account, gateway: Gateway, found: BrokerAccount, now: datetime, seen: Collection[str] = ()
) -> None:
    """Bind the books to the account at the first read; refuse any other account from then on.

    `seen` are broker_order_ids that the account is known to have.
    """
    if not account.is_bound:
        _refuse_foreign_books(account, gateway, found, seen)
        _bind(account, found, now)
    if account.broker_account_id == found.account_id:
        return
    if account.bound_at and found.created_at and found.created_at > account.bound_at:
        raise AccountReset(
            f"Alpaca shows account {found.account_number}, made {found.created_at:%Y-%m-%d %H:%M} UTC, after these "
            f"books were bound to {account.broker_account_number}: the account was reset. Nothing was changed. "
            "Give the old keys, or bind these books anew.",
            seen=_seen(found),
        )
    raise WrongAccount(
        f"These books belong to account {account.broker_account_number}, but the keys open {found.account_number}. "
        "Nothing was changed. Check the keys of this installation.",
        seen=_seen(found),
    )


def _seen(found: BrokerAccount) -> dict[str, str]:
    return {"account_id": found.account_id, "account_number": found.account_number}


def _refuse_foreign_books(account: Account, gateway: Gateway, found: BrokerAccount, seen: Collection[str]) -> None:
    """Books that hold orders already belong to the account that knows them, whichever keys are given first."""
    sent = Order.objects.filter(account=account).exclude(broker_order_id="")
    newest = sent.order_by("-submitted_at", "-pk").first()
    if newest is None or newest.broker_order_id in seen:
        return
    try:
        gateway.get_order(newest.broker_order_id)
    except NotFound:
        raise WrongAccount(
            f"These books hold order {newest.broker_order_id} ({newest}), which account {found.account_number} does "
            "not know: they belong to another account. Nothing was changed. Check the keys of this installation.",
            seen=_seen(found),
        ) from None


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
