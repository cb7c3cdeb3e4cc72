"""Places at which a test can have the process killed, to prove that nothing is lost or doubled wherever it dies.

With CRASH_POINT=<name> in the environment the process kills itself (SIGKILL, as the kernel would) when it gets
there. It is honoured at the simulator only, never with paper or live keys.
"""

import os
import signal

from django.conf import settings

POINTS = ("before_claim", "after_claim", "after_answer", "before_commit", "after_commit")


def reached(point: str) -> None:
    if os.environ.get("CRASH_POINT") == point and settings.ALPACA_ENV == "sim":
        os.kill(os.getpid(), signal.SIGKILL)
