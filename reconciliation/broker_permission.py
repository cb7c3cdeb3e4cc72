"""Who may approve what acts at Alpaca: a permission of its own, which no group has and no policy replaces."""

from collections.abc import Iterable

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User

from reconciliation.errors import FixRefused
from reconciliation.models import Fix

ACT_AT_BROKER = "reconciliation.approve_broker_fix"


def people_who_may_act() -> list[str]:
    """Usernames, in order: for the page of a fix that its reader may not approve."""
    active: Iterable[User] = get_user_model().objects.filter(is_active=True).order_by("username")
    return [user.get_username() for user in active if user.has_perm(ACT_AT_BROKER)]


def may_act_at_broker(username: str) -> bool:
    user = get_user_model().objects.filter(username=username, is_active=True).first()
    return user is not None and user.has_perm(ACT_AT_BROKER)


def refuse_without_permission(fixes: Iterable[Fix], actor: str) -> None:
    """Raise FixRefused if a fix among them acts at Alpaca and the actor may not approve that."""
    acting = next((fix for fix in fixes if fix.acts_at_broker), None)
    if acting is not None and not may_act_at_broker(actor):
        raise FixRefused(f"Fix {acting.pk} acts at Alpaca, which {actor} may not approve. {who_may()}")


def who_may() -> str:
    people = people_who_may_act()
    if people:
        return f"{', '.join(people)} may."
    return "Nobody may: an admin with full rights gives the permission to a person, by name."
