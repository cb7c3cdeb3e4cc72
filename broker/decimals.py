"""Money and quantity in the database: the broker's digits, kept exactly."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from broker.numbers import exact, exact_or_none, plain

__all__ = ["ExactDecimalField", "exact", "exact_or_none", "plain"]

if TYPE_CHECKING:
    _Field = models.Field[Any, Any]
else:
    _Field = models.Field


class ExactDecimalField(_Field):
    """A `Decimal` column without rounding: `numeric` on PostgreSQL, text on SQLite.

    Django's own DecimalField stores REAL on SQLite and loses digits past the fifteenth. Text does not compare
    or add up as a number there, so never order, filter or sum by such a column in SQL: fold it in Python.
    """

    description = "An exact decimal number"

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return "text" if connection.vendor == "sqlite" else "numeric"

    def from_db_value(self, value: object, _expression: object, _connection: object) -> Decimal | None:
        return None if value is None else Decimal(str(value))

    def to_python(self, value: object) -> Decimal | None:
        if value is None or isinstance(value, Decimal):
            return value
        try:
            return exact_or_none(value)
        except (TypeError, ValueError) as error:
            raise ValidationError(str(error)) from error

    def get_prep_value(self, value: object) -> Decimal | None:
        return self.to_python(super().get_prep_value(value))

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:  # noqa: FBT001, FBT002  # Django's signature
        number = value if prepared else self.get_prep_value(value)
        return plain(number) if connection.vendor == "sqlite" else number

    def value_to_string(self, obj: models.Model) -> str:
        return plain(self.value_from_object(obj)) or ""

    def formfield(self, **kwargs: Any) -> Any:
        return super().formfield(**{"form_class": forms.DecimalField, **kwargs})
