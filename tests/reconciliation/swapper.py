"""A process of its own that does what a fix wants at Alpaca: `python -m tests.reconciliation.swapper ACCOUNT_ID`."""

import sys

import django


def main(account_id: int) -> None:
    django.setup()
    from broker.models import Account
    from reconciliation.broker_actions import carry_out

    carry_out(Account.objects.get(pk=account_id))


if __name__ == "__main__":
    main(int(sys.argv[1]))
