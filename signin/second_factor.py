"""What a session must have shown before it approves, trades or enters the admin, where REQUIRE_SECOND_FACTOR is on.

The rule is for sessions, not for people: a permission is asked of `request.user`, to whom the middleware ties what the
session has shown. A command on the computer itself asks people from the database, and is not held up.
"""

from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from allauth.account.adapter import get_adapter
from allauth.account.authentication import get_authentication_records
from allauth.account.internal.flows.login import record_authentication
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from django.contrib import messages
from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, resolve_url
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.http import HttpResponseClientRedirect

from signin import own_password

#: What acts on money or on the rules for it. Halting is not in here: whoever sees a fire may pull the switch.
GUARDED = frozenset(
    {
        "reconciliation.approve_fix",
        "reconciliation.approve_broker_fix",
        "reconciliation.add_backfillpolicy",
        "reconciliation.change_backfillpolicy",
        "reconciliation.delete_backfillpolicy",
        "orders.submit_batch",
    }
)
#: One permission is for halting and for resuming; only resuming is held up.
GUARDED_ADDRESSES = frozenset({"resume"})
#: A superuser has every permission without being asked for it: without a second factor they only look, and do this.
OPEN_TO_SUPERUSERS = frozenset({"halt", "logout", "account_logout", "log_out_everywhere", "account_reauthenticate"}) | {
    "account_change_password"
}

FACTORS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
_METHOD = "mfa"
_NEEDED = "This needs your second factor. "


class Proof:
    """What a session has shown beside a password. Asked seldom, so looked up only then."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request

    @cached_property
    def is_given(self) -> bool:
        user = self._request.user
        shown = any(record.get("method") == _METHOD for record in get_authentication_records(self._request, user))
        return shown and self.has_factor and self.has_own_password

    @cached_property
    def has_factor(self) -> bool:
        return bool(is_mfa_enabled(self._request.user, FACTORS))

    @cached_property
    def has_own_password(self) -> bool:
        return own_password.has_own_password(self._request.user)

    @cached_property
    def is_missed(self) -> bool:
        """Whether this person could do more with it: then the page says so, instead of only lacking a button."""
        user: Any = self._request.user
        may = user.is_staff or any(ModelBackend().has_perm(user, permission) for permission in GUARDED)
        return may and not self.is_given


class SecondFactorBackend:
    """Comes first among the backends: it grants nothing, and ends the question where the session lacks the proof."""

    def authenticate(self, _request: HttpRequest | None, **_credentials: Any) -> None:
        """It knows nobody."""

    def has_perm(self, user: Any, permission: str, _of: Any = None) -> bool:
        proof: Proof | None = getattr(user, "second_factor", None)
        if permission not in GUARDED or proof is None or not ModelBackend().has_perm(user, permission):
            return False
        if not proof.is_given:
            user.was_held_up = True
            raise PermissionDenied
        return False


def note_new_factor(request: HttpRequest, user: Any, factor: Authenticator) -> None:
    """Whoever adds a factor has just used it: the session need not show it once more."""
    if factor.type in FACTORS:
        record_authentication(request, user, _METHOD, id=factor.pk, type=factor.type)


def lead_there(request: HttpRequest) -> HttpResponseBase:
    """Send whoever was held up to where they show their second factor, or set one up."""
    if not own_password.has_own_password(request.user):
        messages.warning(request, "An administrator chose your password. Choose your own first; then go on.")
        return _to(request, reverse("account_change_password"))
    methods = [row for row in get_adapter(request).get_reauthentication_methods(request.user) if _is_factor(row["id"])]
    if methods:
        # The last of them is the passkey, where there is one: whoever has no app would be asked for a recovery code.
        way = methods[0] if is_mfa_enabled(request.user, [Authenticator.Type.TOTP]) else methods[-1]
        messages.warning(request, _NEEDED + "Show it here; then do what you were about to do once more.")
        url = f"{way['url']}?{urlencode({'next': _way_back(request)})}"
    else:
        messages.warning(request, _NEEDED + "Set one up here: an app that makes codes, or a passkey.")
        url = reverse("mfa_index")
    return _to(request, url)


def _to(request: HttpRequest, url: str) -> HttpResponseBase:
    return HttpResponseClientRedirect(url) if request.headers.get("HX-Request") else redirect(url)


def _is_factor(method: str) -> bool:
    return method.startswith("mfa_reauthenticate")


def _way_back(request: HttpRequest) -> str:
    if request.method == "GET" and not request.headers.get("HX-Request"):
        return request.get_full_path()
    came_from = request.headers.get("Referer", "")
    is_ours = url_has_allowed_host_and_scheme(came_from, {request.get_host()}, require_https=request.is_secure())
    return came_from if is_ours else resolve_url("overview")
