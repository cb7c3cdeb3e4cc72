"""How long the product waits, and how often it looks, while a story is about just that."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings


@contextmanager
def impatience(seconds: float) -> Iterator[None]:
    """Give up every answer after so many seconds; only what runs in this process does."""
    with _setting("BROKER_READ_TIMEOUT", seconds):
        yield


@contextmanager
def frequent_looks(seconds: float) -> Iterator[None]:
    """Ask for orders that often although a stream tells of them; only what runs in this process does."""
    with _setting("STREAMED_LOOK_SECONDS", seconds):
        yield


@contextmanager
def _setting(name: str, seconds: float) -> Iterator[None]:
    was = getattr(settings, name)
    setattr(settings, name, seconds)
    try:
        yield
    finally:
        setattr(settings, name, was)
