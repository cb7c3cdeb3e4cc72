"""What every page's frame shows."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from tradingsite.frame import Frame


def page_frame(request: HttpRequest) -> dict[str, Any]:
    # The log-in and the admin have no frame: they name the money that this installation trades by default.
    return {"frame": Frame(request), "environment_word": settings.ALPACA_ENV.upper()}
