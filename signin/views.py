from allauth.account.adapter import get_adapter
from allauth.account.internal.stagekit import clear_login
from allauth.account.views import LoginView, PasswordChangeView, ReauthenticateView
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from audit import journal
from signin.forms import LogInForm
from signin.sessions import end_sessions


class LogInView(LoginView):  # type: ignore[misc]
    form_class = LogInForm


class ConfirmView(ReauthenticateView):  # type: ignore[misc]
    def dispatch(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        others = [way["url"] for way in get_adapter(request).get_reauthentication_methods(request.user)]
        if request.path not in others:
            return redirect(self.passthrough_next_url(others[0]))
        answer: HttpResponseBase = super().dispatch(request, *args, **kwargs)
        return answer


class PasswordView(PasswordChangeView):  # type: ignore[misc]
    def dispatch(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        if request.user.is_authenticated and not request.user.has_usable_password():
            messages.info(request, "You have no password to change. An administrator can give you one.")
            return redirect("mfa_index")
        answer: HttpResponseBase = super().dispatch(request, *args, **kwargs)
        return answer


@login_not_required
def give_up_login(request: HttpRequest) -> HttpResponse:
    """Back from the question for the second factor, to log in as somebody else."""
    if request.method == "POST" and request.user.is_anonymous:
        clear_login(request)
    return redirect("login")


@require_POST
def log_out_everywhere(request: HttpRequest) -> HttpResponse:
    user = request.user
    assert user.is_authenticated  # noqa: S101  # the log-in is asked for before every view
    with transaction.atomic():
        ended = end_sessions(user)
        journal.record(
            at=timezone.now(),
            actor=user.get_username(),
            action="person.logged_out_everywhere",
            subject_type="user",
            subject_id=user.pk,
            summary=f"Ended all own sessions: {ended}",
        )
    logout(request)
    messages.success(request, f"You are logged out everywhere: sessions ended: {ended}.")
    return redirect("login")
