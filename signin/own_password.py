"""Whether a password is known to its person alone, as the journal tells it, which nobody can change.

An administrator who chose it could do all in that person's name as soon as the second factor is out of the way.
"""

from typing import Any

from audit.models import AuditEntry

_CHOSEN = ("person.added", "person.password_set", "person.password_changed")


def has_own_password(user: Any) -> bool:
    """Return whether nobody else chose it at a page. What was set on the computer itself counts as their own."""
    entries = AuditEntry.objects.filter(subject_type="user", subject_id=str(user.pk), action__in=_CHOSEN)
    last = entries.order_by("-pk").values_list("actor", flat=True).first()
    return last is None or last == user.get_username()
