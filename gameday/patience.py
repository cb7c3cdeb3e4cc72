"""How long the product waits for an answer of Alpaca, while a story lets Alpaca hang."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings


@contextmanager
def impatience(seconds: float) -> Iterator[None]:
    """Give up every answer after so many seconds; only what runs in this process does."""
    was = settings.BROKER_READ_TIMEOUT
    settings.BROKER_READ_TIMEOUT = seconds
    try:
        yield
    finally:
        settings.BROKER_READ_TIMEOUT = was
