"""A process of its own that carries out what is cancelled first: `python -m tests.orders.chainer ACCOUNT_ID`."""

import sys

import django


def main(account_id: int) -> None:
    django.setup()
    from django.utils import timezone

    from orders.chain_carrying import carry_chains

    carry_chains(account_id=account_id, now=timezone.now())


if __name__ == "__main__":
    main(int(sys.argv[1]))
