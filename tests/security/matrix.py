"""Who may do what at which address. A new address belongs in here: without, the test fails.

`get` and `post` name those who get through; None: that method is refused for everybody (405).
`wish` is what the browser of somebody who means it sends; `writes` says that something is then written.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile

from orders.forms import BatchUpload
from tests.reconciliation.rows import shown
from tests.security.world import World

ANYBODY = frozenset({"anonymous", "trader", "ops", "broker", "admin"})
PEOPLE = ANYBODY - {"anonymous"}
OPS = PEOPLE - {"trader"}
#: Of ops, but not whoever has no permission to act at Alpaca; an admin has it only if put into the group, too.
AT_BROKER = frozenset({"broker"})
ADMIN = frozenset({"admin"})
NOBODY: frozenset[str] = frozenset()

Wish = Callable[[World], dict[str, Any]]
CSV = b"symbol,side,qty,order_type\nQCOM,buy,1,market\n"


@dataclass(frozen=True, kw_only=True)
class Rule:
    get: frozenset[str] | None = None
    post: frozenset[str] | None = None
    wish: Wish = lambda _world: {}
    writes: bool = False
    ends_at_login: bool = False
    #: What others are told: "missing" where they shall not even know that it is there.
    refusal: str = "forbidden"
    #: Where even those who get through may find nothing.
    may_be_missing: bool = False
    #: Another row than the world's usual one.
    values: Callable[[World], Mapping[str, Any]] = field(default=lambda _world: {})


def _page(who: frozenset[str] = PEOPLE) -> Rule:
    return Rule(get=who)


def _act(who: frozenset[str], wish: Wish = lambda _world: {}, **more: Any) -> Rule:
    return Rule(post=who, wish=wish, writes=True, **more)


def _drift(world: World) -> dict[str, Any]:
    return {"drift_id": world.ignored.pk}


_AT_LOGIN = Rule(get=ANYBODY, post=ANYBODY, ends_at_login=True)
_OWN = Rule(get=PEOPLE, post=PEOPLE, may_be_missing=True)
#: Everybody's own sign-in. What changes it asks for the password first, and then sends there.
SIGN_IN: dict[str, Rule] = {
    "account_login": Rule(get=ANYBODY, post=ANYBODY),
    "give_up_login": _AT_LOGIN,
    "mfa_login_webauthn": _AT_LOGIN,
    "mfa_authenticate": _AT_LOGIN,
    "log_out_everywhere": _act(PEOPLE, ends_at_login=True),
    "mfa_index": _page(),
    "mfa_list_webauthn": _page(),
    "mfa_view_recovery_codes": Rule(get=PEOPLE, may_be_missing=True),
    **dict.fromkeys(
        (
            "account_change_password",
            "account_reauthenticate",
            "mfa_reauthenticate",
            "mfa_reauthenticate_webauthn",
            "mfa_activate_totp",
            "mfa_deactivate_totp",
            "mfa_generate_recovery_codes",
            "mfa_add_webauthn",
            "mfa_edit_webauthn",
            "mfa_remove_webauthn",
        ),
        _OWN,
    ),
}

RULES: dict[str, Rule] = {
    # --- machines, and who has not logged in ---
    "healthz": _page(ANYBODY),
    "readyz": _page(ANYBODY),
    "metrics": _page(ANYBODY),
    "favicon": _page(ANYBODY),
    "login": Rule(get=ANYBODY, post=ANYBODY),
    "logout": Rule(post=PEOPLE, ends_at_login=True),
    **SIGN_IN,
    # --- what everybody sees ---
    **dict.fromkeys(
        (
            "overview",
            "strip",
            "pulse",
            "keyboard",
            "system",
            "protection",
            "insight",
            "audit:list",
            "audit:entry",
            "orders:list",
            "orders:order",
            "orders:batches",
            "orders:batch",
            "orders:batch-unsent-csv",
            "positions:list",
            "positions:cash",
            "positions:position",
            "positions:history",
            "positions:chart",
            "positions:what_if",
            "reconciliation:index",
            "reconciliation:runs",
            "reconciliation:run",
            "reconciliation:picture",
            "reconciliation:kinds",
            "reconciliation:fix",
            "alerts:list",
            "alerts:deliveries",
            "alerts:reports",
            "alerts:report",
        ),
        _page(),
    ),
    "bookmarks:save": _act(PEOPLE, lambda _: {"name": "Mine", "address": "/orders/?status=new"}),
    "bookmarks:forget": _act(frozenset({"trader"}), refusal="missing"),  # it is the trader's own
    # --- orders ---
    "orders:batch-upload": Rule(
        get=OPS, post=OPS, wish=lambda _: {"file": SimpleUploadedFile("a.csv", CSV, "text/csv")}
    ),
    "orders:batch-confirm": Rule(
        post=OPS, wish=lambda world: {"file": BatchUpload("a.csv", CSV, world.account.slug).signed()}
    ),
    "orders:batch-release": _act(OPS),
    "orders:batch-halt": _act(OPS, lambda _: {"reason": "Wrong file"}),
    "orders:batch-unsent": Rule(get=PEOPLE, post=OPS),
    "orders:order-again": Rule(get=OPS, post=OPS),
    # --- positions ---
    "positions:acknowledge_crossing": _act(OPS),
    # --- reconciliation ---
    "reconciliation:start": _act(OPS),
    "reconciliation:approve": _act(
        OPS, lambda world: {"only": world.fix.pk, "shown": shown(world.fix), "confirmed": "yes"}
    ),
    "reconciliation:ignore": Rule(
        get=OPS, post=OPS, writes=True, wish=lambda world: {"reason": "Known", "until": world.tomorrow}
    ),
    "reconciliation:enter": Rule(get=OPS, post=OPS),
    "reconciliation:unignore": _act(OPS, values=_drift),
    "reconciliation:assign": _act(OPS, lambda _: {"whom": "me"}),
    "reconciliation:comment": _act(OPS, lambda world: {f"comment-{world.drift.pk}": "Looked at"}),
    "reconciliation:rebind": Rule(
        get=OPS,
        post=OPS,
        writes=True,
        wish=lambda _: {"number": "PA2", "reason": "New account"},
        values=lambda world: {"drift_id": world.wrong_account.pk},
    ),
    "reconciliation:undo": _act(
        OPS, lambda _: {"reason": "Wrong day"}, values=lambda world: {"fix_id": world.done_fix.pk}
    ),
    "reconciliation:act": _act(
        AT_BROKER,
        lambda world: {"typed_symbol": "NVDA", "shown": world.broker_fix.fingerprint, "reason": "Guard it"},
        values=lambda world: {"fix_id": world.broker_fix.pk},
    ),
    "reconciliation:opposite": _act(
        AT_BROKER, lambda _: {"reason": "Not wanted"}, values=lambda world: {"fix_id": world.sent_fix.pk}
    ),
    # --- the system ---
    "halt": _act(OPS, lambda _: {"reason": "Strange fills"}),
    "resume": Rule(post=OPS, wish=lambda _: {"reason": "Clear"}),  # nothing is halted: it says so
    "retry": _act(OPS),
    # --- Django admin, beside its models ---
    "admin:index": Rule(get=ADMIN, post=ADMIN),
    "admin:app_list": Rule(get=ADMIN, post=ADMIN),
    "admin:login": Rule(get=ADMIN | {"anonymous"}, post=ADMIN | {"anonymous"}, ends_at_login=True),
    "admin:logout": Rule(get=PEOPLE - ADMIN, post=PEOPLE, ends_at_login=True),  # others are sent to the admin's door
    "admin:password_change": Rule(get=ADMIN, post=ADMIN),
    "admin:password_change_done": _page(ADMIN),
    "admin:jsi18n": _page(ADMIN),
    "admin:autocomplete": _page(NOBODY),  # no form of ours asks it
    "admin:view_on_site": Rule(get=ADMIN, post=ADMIN),
    "admin:positions_protection_plan": Rule(get=ADMIN, post=ADMIN),
    "admin:alerts_channel_test": Rule(post=ADMIN),
    "admin:auth_user_password_change": Rule(get=ADMIN, post=ADMIN),
    "admin:auth_user_second_factor": _act(ADMIN, lambda _: {"reason": "Phone lost"}, get=ADMIN),
}

#: Each model of the admin: what an admin may do with it. Nobody else gets in.
MODELS: dict[str, str] = {
    "audit_auditentry": "view",
    "broker_account": "view change",
    "orders_batch": "view",
    "orders_order": "view",
    "orders_fill": "view",
    "orders_orderevent": "view",
    "positions_riskparameters": "view add change",
    "positions_position": "view",
    "positions_adjustment": "view",
    "positions_parameterchange": "view",
    "reconciliation_backfillpolicy": "view add change delete",
    "reconciliation_ignorerule": "view add change",
    "reconciliation_run": "view",
    "reconciliation_drift": "view",
    "reconciliation_fix": "view",
    "reconciliation_readingcursor": "view",
    "alerts_channel": "view change",
    "auth_user": "view add change",
    "auth_group": "view",
    "django_q_schedule": "view",
    "django_q_success": "view",
    "django_q_failure": "view",
    "django_q_ormq": "view",
}

#: What an admin may do with many rows at once.
BULK_ACTS: dict[str, set[str]] = {
    "reconciliation_ignorerule": {"end_now"},
    "django_q_schedule": {"run_now"},
}

#: Reading that writes: a channel that the environment names gets its row.
WRITES_WHEN_READ = {"admin:alerts_channel_changelist"}

#: A test of a channel that did not go out is an error to the person, and noted all the same.
WRITES_WHEN_REFUSED = {"admin:alerts_channel_test", "admin:alerts_channel_change"}


def rule_of(name: str) -> Rule | None:
    """The rule of an address, those of a model's admin by what is allowed with it."""
    if name in RULES:
        return RULES[name]
    if name.startswith("admin:unnamed "):
        # Old addresses of objects, and whatever else begins like the admin: redirects and 404 for who may enter it.
        return Rule(get=ADMIN, post=ADMIN, may_be_missing=True)
    model, _, view = name.removeprefix("admin:").rpartition("_")
    if not name.startswith("admin:") or model not in MODELS:
        return None
    allowed = MODELS[model].split()
    return {
        "changelist": Rule(get=ADMIN, post=ADMIN),
        "history": Rule(get=ADMIN, post=ADMIN),
        "change": Rule(get=ADMIN, post=ADMIN if "change" in allowed else NOBODY),
        "add": Rule(get=ADMIN if "add" in allowed else NOBODY, post=ADMIN if "add" in allowed else NOBODY),
        "delete": Rule(get=ADMIN if "delete" in allowed else NOBODY, post=ADMIN if "delete" in allowed else NOBODY),
    }.get(view)
