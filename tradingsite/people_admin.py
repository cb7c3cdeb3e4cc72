"""People in Django admin. An admin makes people and puts them into the groups; only a superuser goes beyond.

Nobody is deleted: their names stand in the journal. They are made inactive instead.
"""

from functools import partial
from typing import TYPE_CHECKING, Any

from allauth.mfa.models import Authenticator
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.forms import UserChangeForm
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html

from audit import journal
from tradingsite.people import ADMIN, BROKER, OPS, TRADER
from tradingsite.reset_hands import take_turns, why_not_password
from tradingsite.second_factor_admin import take_off

if TYPE_CHECKING:
    _Users = UserAdmin[User]
    _ChangeForm = UserChangeForm[User]
else:
    _Users = UserAdmin
    _ChangeForm = UserChangeForm

admin.site.unregister(User)
admin.site.unregister(Group)

OUR_GROUPS = (TRADER, OPS, ADMIN, BROKER)
_GROUPS_HELP = (
    "trader sees everything. ops also runs, approves, ignores and undoes. admin also sets parameters, policies and "
    "people, and may enter this admin. broker comes beside one of them: it approves fixes that send, change or "
    "cancel an order at Alpaca."
)


class PersonForm(_ChangeForm):
    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        groups, is_active = cleaned.get("groups"), cleaned.get("is_active", self.instance.is_active)
        stays_admin = is_active and (groups is None or groups.filter(name=ADMIN).exists())
        if self.instance.pk and not stays_admin and _is_last_admin(self.instance):
            raise forms.ValidationError(
                "This is the last active person in the group admin: put somebody else into it first, or nobody could "
                "set anything here any more."
            )
        return cleaned


def _is_last_admin(user: User) -> bool:
    admins = User.objects.filter(is_active=True, groups__name=ADMIN)
    return admins.filter(pk=user.pk).exists() and not admins.exclude(pk=user.pk).exists()


@admin.register(User)
class PersonAdmin(_Users):
    form = PersonForm
    actions = None
    list_display = ("username", "first_name", "last_name", "in_groups", "is_active", "is_superuser", "last_login")
    list_filter = ("groups", "is_active", "is_superuser")
    search_fields = ("username", "first_name", "last_name", "email")
    filter_horizontal = ()
    readonly_fields = ("is_staff", "last_login", "date_joined", "second_factor")
    fieldsets = (
        (None, {"fields": ("username", "password", "second_factor")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("What they may do", {"fields": ("is_active", "groups"), "description": _GROUPS_HELP}),
        ("Known", {"fields": ("is_staff", "last_login", "date_joined")}),
    )
    _beyond = ("Beyond the groups", {"fields": ("is_superuser", "user_permissions"), "classes": ("collapse",)})

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("groups")

    def get_urls(self) -> Any:
        route = path("<int:user_id>/second-factor/", self._take_off, name="auth_user_second_factor")
        return [route, *super().get_urls()]

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> Any:
        """Decided and done in one transaction: between the two nobody takes the second factor off."""
        person = self.get_object(request, id)
        with transaction.atomic():
            if person is not None:
                if request.method == "POST":
                    take_turns(person)
                if why := why_not_password(person):
                    messages.error(request, why)
                    return redirect("admin:auth_user_change", person.pk)
            return super().user_change_password(request, id, form_url)

    def _take_off(self, request: HttpRequest, user_id: int) -> HttpResponseBase:
        return self.admin_site.admin_view(partial(take_off, self))(request, user_id=user_id)

    @admin.display(description="Second factor")
    def second_factor(self, user: User) -> str:
        types = sorted(set(Authenticator.objects.filter(user_id=user.pk).values_list("type", flat=True)))
        if not types:
            return "none"
        where = reverse("admin:auth_user_second_factor", args=[user.pk])
        return format_html('{}. <a href="{}">Take it off</a>', ", ".join(types).replace("_", " "), where)

    @admin.display(description="Groups")
    def in_groups(self, user: User) -> str:
        return ", ".join(sorted(group.name for group in user.groups.all())) or "none"

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """A name in the journal stays somebody's; and who requested a fix must not approve it under another name."""
        return (*self.readonly_fields, *(("username",) if obj else ()))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        found = super().get_fieldsets(request, obj)
        return (*found, self._beyond) if obj and _is_superuser(request) else found

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """An admin does not change a superuser, or the password of one, or whoever has more than the groups give."""
        allowed = super().has_change_permission(request, obj)
        if obj is None or _is_superuser(request):
            return allowed
        has_more = obj.groups.exclude(name__in=OUR_GROUPS).exists() or obj.user_permissions.exists()
        return allowed and not obj.is_superuser and not has_more

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "groups" and not _is_superuser(request):
            kwargs["queryset"] = Group.objects.filter(name__in=OUR_GROUPS)
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: Any) -> None:
        """Whoever is an admin, and nobody else, enters the admin: the flag follows the group."""
        user: User = form.instance
        with transaction.atomic():
            before = set(user.groups.values_list("name", flat=True))
            super().save_related(request, form, formsets, change)
            after = set(user.groups.values_list("name", flat=True))
            user.is_staff = user.is_superuser or ADMIN in after
            user.save(update_fields=["is_staff"])
            changed = [name for name in form.changed_data if "password" not in name]
            journal.record(
                at=timezone.now(),
                actor=request.user.get_username(),
                action="person.changed" if change else "person.added",
                subject_type="user",
                subject_id=user.pk,
                summary=f"{'Changed' if change else 'Added'} {user.username}: {', '.join(changed) or 'nothing'}",
                before={"groups": sorted(before)} if change else None,
                after={"groups": sorted(after), "is_active": user.is_active, "is_superuser": user.is_superuser},
            )

    def log_change(self, request: HttpRequest, obj: User, message: Any) -> Any:
        """Django calls this for a new password, too, which passes by `save_related`."""
        if request.path.endswith("/password/"):
            journal.record(
                at=timezone.now(),
                actor=request.user.get_username(),
                action="person.password_set",
                subject_type="user",
                subject_id=obj.pk,
                summary=f"Set a new password for {obj.username}",
            )
        return super().log_change(request, obj, message)


@admin.register(Group)
class SeenGroupAdmin(GroupAdmin):
    """What the groups may do is declared in the program; it can be looked at here."""

    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return _is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_superuser(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def _is_superuser(request: HttpRequest) -> bool:
    return bool(request.user.is_active and request.user.is_superuser)
