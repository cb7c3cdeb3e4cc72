"""Channels in the admin: what goes out by each, and a test. Their addresses are in the environment only."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path
from django.utils import timezone

from alerts.channels import ensure_channels
from alerts.kinds import ALERT_KINDS
from alerts.models import Channel, Delivery
from alerts.trying import try_channel
from audit import journal

if TYPE_CHECKING:
    _ChannelModelAdmin = admin.ModelAdmin[Channel]
    _ChannelModelForm = forms.ModelForm[Channel]
else:
    _ChannelModelAdmin = admin.ModelAdmin
    _ChannelModelForm = forms.ModelForm


class ChannelForm(_ChannelModelForm):
    muted_kinds = forms.MultipleChoiceField(
        required=False,
        choices=[(kind.value, facts.title) for kind, facts in ALERT_KINDS.items()],
        widget=forms.CheckboxSelectMultiple,
        label="Do not send",
    )

    class Meta:
        model = Channel
        fields = ("is_on", "lowest_severity", "muted_kinds", "most_an_hour", "sends_reports")


@admin.register(Channel)
class ChannelAdmin(_ChannelModelAdmin):
    """A channel is there because ALERT_CHANNELS names it, and stays with what was sent by it."""

    form = ChannelForm
    list_display = ("name", "is_on", "lowest_severity", "most_an_hour", "sends_reports", "has_address", "last_message")
    readonly_fields = ("name", "has_address", "last_message")
    fields = (
        "name", "has_address", "last_message", "is_on", "lowest_severity", "muted_kinds", "most_an_hour",
        "sends_reports",
    )  # fmt: skip
    change_form_template = "admin/alerts/channel.html"

    @admin.display(description="Address", boolean=True)
    def has_address(self, channel: Channel) -> bool:
        return channel.name in settings.ALERT_CHANNELS

    @admin.display(description="Last message")
    def last_message(self, channel: Channel) -> str:
        last = Delivery.objects.filter(channel=channel, attempts__gt=0).order_by("-claimed_at").first()
        return "None yet" if last is None else f"{last.get_state_display()}: {last.outcome or 'no outcome yet'}"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.test_view)
        return [path("<int:channel_id>/test/", view, name="alerts_channel_test"), *super().get_urls()]

    def test_view(self, request: HttpRequest, channel_id: int) -> HttpResponse:
        if not request.user.has_perm("alerts.change_channel"):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        channel = get_object_or_404(Channel, pk=channel_id)
        outcome = try_channel(channel=channel, actor=request.user.get_username(), now=timezone.now())
        if outcome.was_sent:
            messages.success(request, f"The test went out by {channel.name}. See whether it arrived.")
        else:
            messages.error(request, f"The test did not go out by {channel.name}: {outcome.words}")
        return redirect("admin:alerts_channel_change", channel.pk)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        ensure_channels(timezone.now())
        return super().changelist_view(request, extra_context)

    def save_model(
        self,
        request: HttpRequest,
        obj: Channel,
        form: "forms.ModelForm[Channel]",
        change: bool,  # noqa: FBT001  # Django's signature
    ) -> None:
        names = [name for name in form.changed_data if name in form.fields]
        with transaction.atomic():
            super().save_model(request, obj, form, change)
            journal.record(
                at=timezone.now(), actor=request.user.get_username(), action="channel.changed",
                subject_type="channel", subject_id=obj.pk,
                summary=f"Changed the channel {obj.name}: {', '.join(names) or 'nothing'}.",
                before={name: str(form.initial.get(name, "")) for name in names},
                after={name: str(form.cleaned_data[name]) for name in names},
            )  # fmt: skip

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Channel | None = None) -> bool:
        return False
