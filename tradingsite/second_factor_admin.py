"""An admin takes a lost second factor off a colleague: with a reason, in the journal, and never off themselves."""

from allauth.mfa.models import Authenticator
from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils import timezone

from audit import journal
from signin.sessions import end_sessions
from tradingsite.reset_hands import take_turns, why_not_take_off


class NotNow(Exception):
    """The sentence says why, and what to do instead."""


class ReasonForm(forms.Form):
    reason = forms.CharField(max_length=300, label="Why", help_text="It stands in the journal.")


def take_off(model_admin: "ModelAdmin[User]", request: HttpRequest, user_id: int) -> HttpResponse:
    person = get_object_or_404(User, pk=user_id)
    if not model_admin.has_change_permission(request, person) or person.pk == request.user.pk:
        raise PermissionDenied
    form = ReasonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        reason = form.cleaned_data["reason"]
        try:
            factors = take_off_factors(person, actor=request.user.get_username(), reason=reason)
        except NotNow as refusal:
            messages.error(request, str(refusal))
        else:
            messages.success(request, f"Taken off {person.username}: {factors} factors. All their sessions are ended.")
        return redirect("admin:auth_user_change", person.pk)
    context = {**model_admin.admin_site.each_context(request), "title": "Take off the second factor"}
    context |= {"form": form, "person": person, "has_any": Authenticator.objects.filter(user=person).exists()}
    return TemplateResponse(request, "admin/signin/take_off.html", context)


@transaction.atomic
def take_off_factors(person: User, *, actor: str, reason: str, is_at_page: bool = True) -> int:
    """Their sessions end too: one that showed the factor must not go on, nor set up another."""
    take_turns(person)
    if is_at_page and (why := why_not_take_off(person)):
        raise NotNow(why)
    types = sorted(Authenticator.objects.filter(user=person).values_list("type", flat=True))
    Authenticator.objects.filter(user=person).delete()
    end_sessions(person)
    journal.record(
        at=timezone.now(),
        actor=actor,
        action="person.second_factor_taken_off",
        subject_type="user",
        subject_id=person.pk,
        summary=f"Took the second factor off {person.username}",
        reason=reason,
        before={"factors": types},
        after={"factors": []},
    )
    return len(types)
