"""What every page's frame shows."""

from typing import Any

from django.http import HttpRequest

from tradingsite.frame import Frame


def page_frame(request: HttpRequest) -> dict[str, Any]:
    return {"frame": Frame(request)}
