"""What every page's frame shows."""

from typing import Any

from django.http import HttpRequest


def page_frame(_request: HttpRequest) -> dict[str, Any]:
    return {}
