"""A cause on the board follows from rows, from who reads it, and from the day: equal ones are rendered once.

Everybody who has the board open asks for it every few seconds, and between two runs hardly a cause changes.
"""

from collections.abc import Iterable
from datetime import date
from hashlib import blake2b
from typing import TYPE_CHECKING

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser, PermissionsMixin
from django.db.models import Model

if TYPE_CHECKING:
    from reconciliation.presentation import Cause

#: The permissions that the templates of a cause ask for.
PERMISSIONS = tuple(f"reconciliation.{name}" for name in ("approve_fix", "approve_broker_fix", "ignore_drift"))


def fingerprint(cause: "Cause") -> str:
    """Return a digest of every value of every row that the cause is shown from, and of how it is to be shown.

    All columns count, whether the templates show them or not: nobody who adds one to a template must think of this.
    """
    drift = cause.drift
    told = [drift, drift.fix, cause.instead, *cause.consequences, *drift.comments.all(), *drift.entered_values.all()]
    # A section holds what is shown of the fix: all of its fields, or those that change.
    shown = [(section.name, len(section.fields)) for section in cause.sections]
    return blake2b(repr([*map(_values, told), shown]).encode(), digest_size=16).hexdigest()


def reader_fingerprint(
    reader: AbstractBaseUser | AnonymousUser, people: Iterable[AbstractBaseUser], today: date
) -> str:
    """Return what a cause looks different by beside its rows: who reads it, whom it can be given to, and the day.

    `today` is New York's: times of another day are written with their date.
    """
    may = [isinstance(reader, PermissionsMixin) and reader.has_perm(name) for name in PERMISSIONS]
    names = [person.get_username() for person in people]
    return repr((reader.get_username(), may, names, today))


def _values(row: Model | None) -> list[object] | None:
    if row is None:
        return None
    # Past the descriptors: a column that was not read must fail here, and not be read one row at a time.
    return [type(row).__name__, *(row.__dict__[field.attname] for field in row._meta.concrete_fields)]
