"""A process of its own that carries out an account's changes: `python -m tests.orders.changer ACCOUNT_ID`."""

import sys

import django


def main(account_id: int) -> None:
    django.setup()
    from django.utils import timezone

    from orders.change_sending import carry_out_changes

    carry_out_changes(account_id=account_id, now=timezone.now())


if __name__ == "__main__":
    main(int(sys.argv[1]))
