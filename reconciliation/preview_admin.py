"""Admin forms that show first what saving would do, and save only when that page is confirmed.

1. The form is posted: it is checked, and a page shows the effect. Nothing is saved.
2. That page is posted: it is saved, or shown again if the effect is another one by now.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

if TYPE_CHECKING:
    _Admin = admin.ModelAdmin[Any]
else:
    _Admin = admin.ModelAdmin

_NOT_CARRIED = frozenset({"csrfmiddlewaretoken", "expected", "_preview", "_save", "_continue", "_addanother"})


class PreviewedAdmin(_Admin):
    """A `ModelAdmin` whose changes are previewed."""

    actions: Any = None
    change_form_template = "admin/reconciliation/previewed_form.html"

    def effect_sentence(self, row: Any, lines: Sequence[str]) -> str:
        raise NotImplementedError

    def effect_lines(self, row: Any) -> list[str]:
        """Return one line for everything that saving the row would touch."""
        raise NotImplementedError

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if request.method == "POST":
            row = self.get_object(request, object_id) if object_id else None
            allowed = self.has_change_permission(request, row) if row else self.has_add_permission(request)
            if allowed and (row or not object_id):
                form: ModelForm[Any] = self.get_form(request, row, change=row is not None)(request.POST, instance=row)
                if form.is_valid() and (page := self._preview(request, form.instance)) is not None:
                    return page
        return super().changeform_view(request, object_id, form_url, extra_context)

    def _preview(self, request: HttpRequest, row: Any) -> HttpResponse | None:
        """Return the page with the effect, or None when this very effect was confirmed."""
        lines = self.effect_lines(row)
        if "_confirmed" in request.POST:
            if request.POST.getlist("expected") == lines:
                return None
            messages.warning(request, "What it would do is another by now. Nothing was saved: look again.")
        carried = [(k, value) for k, values in request.POST.lists() for value in values if k not in _NOT_CARRIED]
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "What saving would do",
            "sentence": self.effect_sentence(row, lines),
            "lines": lines,
            "carried": [(name, value) for name, value in carried if name != "_confirmed"],
            "back": reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"),
        }
        return TemplateResponse(request, "admin/reconciliation/preview.html", context)
