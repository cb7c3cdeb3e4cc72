from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from bookmarks.models import SavedLink
from bookmarks.saving import LinkRefused, list_address, save_link


@require_POST
def save(request: HttpRequest) -> HttpResponse:
    address = request.POST.get("address", "")
    assert not request.user.is_anonymous  # noqa: S101  # pages are for people who have logged in
    try:
        link = save_link(user=request.user, name=request.POST.get("name", ""), address=address, now=timezone.now())
    except LinkRefused as error:
        messages.error(request, f"Nothing was saved. {error}")
        return redirect(_back_to(address))
    messages.success(request, f"Saved as “{link.name}”. You find it above this list.")
    return redirect(link)


@require_POST
def forget(request: HttpRequest, link_id: int) -> HttpResponse:
    link = get_object_or_404(SavedLink, pk=link_id, user_id=request.user.pk)
    link.delete()
    messages.success(request, f"The saved view “{link.name}” is forgotten.")
    return redirect(_back_to(request.POST.get("address", "")))


def _back_to(address: str) -> str:
    """The list that the person came from; never another site."""
    try:
        path, query = list_address(address)
    except LinkRefused:
        return "overview"
    return f"{path}?{query}" if query else path
