"""The views that a person saved of the list that is shown."""

from typing import Any

from django import template

from bookmarks.models import SavedLink

register = template.Library()


@register.inclusion_tag("bookmarks/_saved_links.html", takes_context=True)
def saved_links(context: template.Context, region: str) -> dict[str, Any]:
    request = context["request"]
    links = SavedLink.objects.filter(user_id=request.user.pk, path=request.path) if request.user.pk else ()
    return {"request": request, "csrf_token": context.get("csrf_token"), "links": links, "region": region}
