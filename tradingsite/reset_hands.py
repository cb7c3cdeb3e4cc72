"""Whoever knows a person's password must not get their second factor out of the way: then they could approve as them.

So where a second factor is required, an admin gives no new password to a person without one, and takes none off a
person whose password an admin chose. The computer itself is the way out (docs/sign-in.md).
"""

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import F

from audit.models import AuditEntry
from signin.own_password import has_own_password
from signin.second_factor import FACTORS


def why_not_password(person: User) -> str:
    """Return why nobody may set this person's password in the admin now, or nothing."""
    has_factor = Authenticator.objects.filter(user_id=person.pk, type__in=FACTORS).exists()
    is_new = person.last_login is None and not _was_taken_off(person)
    if not settings.REQUIRE_SECOND_FACTOR or has_factor or is_new:
        return ""
    name = person.username
    return (
        f"{name} has no second factor now: whoever chose the password could set one up and approve as {name}. Let "
        f"{name} log in and set one up first, or use manage.py changepassword {name} on the computer itself."
    )


def why_not_take_off(person: User) -> str:
    """Return why nobody may take the second factor off this person in the admin now, or nothing."""
    if not settings.REQUIRE_SECOND_FACTOR or has_own_password(person):
        return ""
    name = person.username
    return (
        f"An administrator chose the password of {name}, and could approve as {name} without the second factor. Let "
        f"{name} choose their own first, or use manage.py take_off_second_factor {name} on the computer itself."
    )


def take_turns(person: User) -> None:
    """Let no other transaction decide about the same person meanwhile. To be called first within one."""
    User.objects.filter(pk=person.pk).update(is_active=F("is_active"))


def _was_taken_off(person: User) -> bool:
    wanted = {"subject_type": "user", "subject_id": str(person.pk), "action": "person.second_factor_taken_off"}
    return AuditEntry.objects.filter(**wanted).exists()
