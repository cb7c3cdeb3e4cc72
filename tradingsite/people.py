"""Who may do what: the groups, and the people in them. Safe to run again at any time."""

from collections.abc import Iterable

from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction

TRADER, OPS, ADMIN = "trader", "ops", "admin"
#: Beside one of the three: may approve what acts at Alpaca. Nobody is in it until an admin puts them there.
BROKER = "broker"

# Everybody sees everything that is the program's own.
_OUR_APPS = ("alerts", "audit", "broker", "orders", "positions", "reconciliation", "work")

_OPS_MAY = (
    "reconciliation.start_run",
    "reconciliation.approve_fix",
    "reconciliation.ignore_drift",
    "orders.submit_batch",
    "orders.halt_batch",
    "broker.halt_sending",
    "positions.change_crossing",  # to acknowledge it
)
# Not of any of the three: whoever sends, changes or cancels an order at Alpaca is chosen by name.
_BROKER_MAY = ("reconciliation.approve_fix", "reconciliation.approve_broker_fix")
_ADMIN_MAY = (
    "positions.add_riskparameters",
    "positions.change_riskparameters",
    "broker.change_account",
    "broker.import_history",
    "alerts.change_channel",
    *(f"reconciliation.{act}_backfillpolicy" for act in ("add", "change", "delete")),
    "reconciliation.add_ignorerule",
    "reconciliation.change_ignorerule",
    "auth.view_user",
    "auth.add_user",
    "auth.change_user",
    "auth.view_group",
    *(f"django_q.view_{model}" for model in ("schedule", "success", "failure", "ormq")),
    "django_q.change_schedule",
)
# An admin who may edit groups can give themselves anything; and a name in the journal must stay somebody's.
_ADMIN_MAY_NOT = ("auth.delete_user", "auth.add_group", "auth.change_group", "auth.delete_group")


@transaction.atomic
def ensure_groups() -> dict[str, Group]:
    """Make the groups and give each its permissions; what was added to them by hand stays."""
    views = list(Permission.objects.filter(content_type__app_label__in=_OUR_APPS, codename__startswith="view_"))
    ops = _named(_OPS_MAY)
    permissions = {TRADER: views, OPS: [*views, *ops], ADMIN: [*views, *ops, *_named(_ADMIN_MAY)]}
    permissions[BROKER] = [*views, *_named(_BROKER_MAY)]
    groups = {}
    for name, wanted in permissions.items():
        groups[name], _created = Group.objects.get_or_create(name=name)
        groups[name].permissions.add(*wanted)
    groups[ADMIN].permissions.remove(*_named(_ADMIN_MAY_NOT))  # an earlier version gave them
    return groups


def ensure_person(*, username: str, group: str, password: str | None = None) -> User:
    """Make the user if missing and put them into the group. An existing password is changed only if one is given."""
    groups = ensure_groups()
    with transaction.atomic():
        user, created = User.objects.get_or_create(username=username)
        user.groups.add(groups[group])
        user.is_staff = user.is_staff or group == ADMIN
        if password is not None:
            user.set_password(password)
        elif created:
            user.set_unusable_password()
        user.save()
    return user


def _named(labels: Iterable[str]) -> list[Permission]:
    wanted = set(labels)
    apps = {label.partition(".")[0] for label in wanted}
    found = {
        f"{permission.content_type.app_label}.{permission.codename}": permission
        for permission in Permission.objects.filter(content_type__app_label__in=apps).select_related("content_type")
    }
    if missing := sorted(wanted - found.keys()):
        raise ImproperlyConfigured(f"These permissions are missing: {', '.join(missing)}. Run `manage.py migrate`.")
    return [found[label] for label in sorted(wanted)]
