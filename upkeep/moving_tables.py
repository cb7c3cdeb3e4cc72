"""Which tables are moved from one database to another, in which order, and what their rows look like written down."""

import hashlib
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from django.apps import apps
from django.db.models import Model

Row = Sequence[Any]


def moved_models() -> list[type[Model]]:
    """Every table that Django knows of, those between two others included."""
    models = [model for model in apps.get_models(include_auto_created=True) if model._meta.managed]
    return sorted((model for model in models if not model._meta.proxy), key=lambda model: model._meta.db_table)


def read_rows(model: type[Model], alias: str, *, chunk: int) -> Iterator[Model]:
    rows: Iterator[Model] = model._base_manager.using(alias).order_by("pk").iterator(chunk_size=chunk)
    return rows


class Digest:
    """The rows of one table as one number, the same on every kind of database. Give them in the order of their keys."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.rows = 0

    def add(self, row: Model) -> None:
        self.rows += 1
        values = [_written(getattr(row, field.attname)) for field in row._meta.concrete_fields]
        self._hash.update(repr(values).encode())

    def __str__(self) -> str:
        return self._hash.hexdigest()


def _written(value: Any) -> Any:
    """1.50 and 1.5 are one number to some databases; and JSON keeps no order of its keys."""
    if isinstance(value, Decimal):
        return str(value.normalize())
    if isinstance(value, dict):
        return sorted((key, _written(inner)) for key, inner in value.items())
    if isinstance(value, list):
        return [_written(inner) for inner in value]
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
