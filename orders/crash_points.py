"""Places at which a test can have the process killed, to prove that nothing is lost or doubled wherever it dies.

With CRASH_POINT=<name> in the environment the process kills itself (SIGKILL, as the kernel would) whenever it gets
there. With CRASH_ONCE_FOLDER=<path> it does so at every point that a file in the folder is named after, and takes
that file away first: of all processes of an installation one dies there, once, and who comes after it goes on. Both
are honoured at the simulator only, never with paper or live keys.
"""

import os
import signal
from pathlib import Path

from django.conf import settings

POINTS = ("before_claim", "after_claim", "after_answer", "before_commit", "after_commit", "before_fills")


def reached(point: str) -> None:
    if settings.ALPACA_ENV == "sim" and (os.environ.get("CRASH_POINT") == point or _is_chosen(point)):
        os.kill(os.getpid(), signal.SIGKILL)


def _is_chosen(point: str) -> bool:
    folder = os.environ.get("CRASH_ONCE_FOLDER")
    if not folder:
        return False
    try:
        (Path(folder) / point).unlink()
    except FileNotFoundError:  # nobody is to die here, or another one just did
        return False
    return True
