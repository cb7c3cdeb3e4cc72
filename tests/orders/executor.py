"""A process of its own that executes one batch: `python -m tests.orders.executor BATCH [GO]`.

With GO it gets everything ready, writes `<GO>.<pid>`, and begins when the file GO appears.
"""

import os
import sys
import time
from pathlib import Path

import django


def main(batch_id: int, go: Path | None) -> None:
    django.setup()
    from django.utils import timezone

    from broker.accounts import default_account
    from broker.gateway import open_gateway
    from orders.sending import execute_batch

    open_gateway(default_account())  # imports what takes long
    if go is not None:
        go.with_name(f"{go.name}.{os.getpid()}").touch()
        while not go.exists():
            time.sleep(0.001)
    execute_batch(batch_id=batch_id, now=timezone.now())


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]) if sys.argv[2:] else None)
