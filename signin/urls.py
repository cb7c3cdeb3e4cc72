"""Addresses of django-allauth, only those that are used: nobody signs up, and nothing goes by mail.

What changes a person's factors is done in one transaction with its entry in the journal.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.mfa.base import views as base
from allauth.mfa.recovery_codes import views as recovery
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as webauthn
from django.contrib.auth.views import LogoutView
from django.db import transaction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import path

from signin import views

View = Callable[..., HttpResponseBase]


def _whole(view: View) -> View:
    @wraps(view)
    def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method != "POST":
            return view(request, *args, **kwargs)
        with transaction.atomic():
            return view(request, *args, **kwargs)

    return inner


urlpatterns = [
    path("login/", views.LogInView.as_view(), name="login"),
    path("login/", views.LogInView.as_view(), name="account_login"),  # allauth's name for it
    path("login/give-up/", views.give_up_login, name="give_up_login"),
    path("login/passkey/", webauthn.login_webauthn, name="mfa_login_webauthn"),
    path("login/second-factor/", base.authenticate, name="mfa_authenticate"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("logout/everywhere/", views.log_out_everywhere, name="log_out_everywhere"),
    path("password/", _whole(views.PasswordView.as_view()), name="account_change_password"),
    path("confirm/", views.ConfirmView.as_view(), name="account_reauthenticate"),
    path("confirm/code/", base.reauthenticate, name="mfa_reauthenticate"),
    path("confirm/passkey/", webauthn.reauthenticate_webauthn, name="mfa_reauthenticate_webauthn"),
    path("", base.index, name="mfa_index"),
    path("codes/", _whole(totp.activate_totp), name="mfa_activate_totp"),
    path("codes/remove/", _whole(totp.deactivate_totp), name="mfa_deactivate_totp"),
    path("recovery-codes/", recovery.view_recovery_codes, name="mfa_view_recovery_codes"),
    path("recovery-codes/new/", _whole(recovery.generate_recovery_codes), name="mfa_generate_recovery_codes"),
    path("passkeys/", webauthn.list_webauthn, name="mfa_list_webauthn"),
    path("passkeys/add/", _whole(webauthn.add_webauthn), name="mfa_add_webauthn"),
    path("passkeys/<int:pk>/remove/", _whole(webauthn.remove_webauthn), name="mfa_remove_webauthn"),
    path("passkeys/<int:pk>/edit/", _whole(webauthn.edit_webauthn), name="mfa_edit_webauthn"),
]
