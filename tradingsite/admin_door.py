"""The admin has no log-in of its own: it would ask for no second factor, and count no failures; nor a way of its own
to change a password, which the journal would not hear of."""

from django.contrib import admin
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme


@login_not_required
def door(request: HttpRequest, _extra_context: object = None) -> HttpResponse:
    wish = request.GET.get(REDIRECT_FIELD_NAME, "")
    is_ours = url_has_allowed_host_and_scheme(wish, {request.get_host()}, require_https=request.is_secure())
    wish = wish if is_ours else resolve_url("admin:index")
    if request.user.is_anonymous:
        return redirect_to_login(wish)
    if not admin.site.has_permission(request):
        raise PermissionDenied
    return redirect("admin:index")


def password(_request: HttpRequest, _extra_context: object = None) -> HttpResponse:
    """One's own password is changed at one place, which journals it and ends all sessions."""
    return redirect("account_change_password")


admin.site.login = door  # type: ignore[assignment]
admin.site.password_change = password  # type: ignore[assignment]
