"""The product's settings on a machine of a test: its clock may differ, and it may only be called a machine of its own.

HOST_CLOCK_OFFSET   seconds that the clock is ahead
HOST_NAME           where machines are no namespaces: how this one is called
"""

import os
import socket
from datetime import datetime, timedelta

from django.utils import timezone

from tradingsite.settings import *  # noqa: F403

_ahead = timedelta(seconds=float(os.environ.get("HOST_CLOCK_OFFSET", "0")))
_now = timezone.now


def _shifted() -> datetime:
    return _now() + _ahead


def _called() -> str:
    return os.environ["HOST_NAME"]


if _ahead:
    timezone.now = _shifted
if "HOST_NAME" in os.environ:
    socket.gethostname = _called
