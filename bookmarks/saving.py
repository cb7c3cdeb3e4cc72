"""Name the address of a list, and forget it again."""

from datetime import datetime
from urllib.parse import urlsplit

from django.contrib.auth.models import User
from django.db import transaction
from django.http import QueryDict
from django.urls import Resolver404, resolve

from bookmarks.models import SavedLink

#: The pages that have something to save, by the names of their addresses.
LISTS = frozenset({
    "orders:list", "orders:batches", "positions:list", "audit:list", "reconciliation:index", "reconciliation:runs",
    "protection",
})  # fmt: skip
#: What belongs to the moment and not to the view.
NOT_SAVED = ("page", "format")
MOST_LINKS = 30


class LinkRefused(Exception):
    """Why a link was not saved, in a sentence for the person."""


def save_link(*, user: User, name: str, address: str, now: datetime) -> SavedLink:
    """Save under `name`, in place of what the person had saved under it for the same list. Raise LinkRefused."""
    name = " ".join(name.split())
    if not name:
        raise LinkRefused("Give the view a name.")
    if len(name) > 60:
        raise LinkRefused("A name has at most 60 characters.")
    path, query = list_address(address)
    with transaction.atomic():
        mine = SavedLink.objects.filter(user=user)
        is_new = not mine.filter(path=path, name=name).exists()
        if is_new and mine.count() >= MOST_LINKS:
            raise LinkRefused(f"You have {MOST_LINKS} saved views, which is the most. Forget one first.")
        link, _is_new = SavedLink.objects.update_or_create(
            user=user, path=path, name=name, defaults={"query": query, "created_at": now}
        )
    return link


def list_address(address: str) -> tuple[str, str]:
    """Return path and query of a list of this site. Raise LinkRefused for every other address."""
    refused = LinkRefused("Only the lists of this site can be saved.")
    try:
        parts = urlsplit(address)
        found = resolve(parts.path)
    except (ValueError, Resolver404) as error:
        raise refused from error
    if parts.scheme or parts.netloc or found.view_name not in LISTS:
        raise refused
    params = QueryDict(parts.query, mutable=True)
    for name in NOT_SAVED:
        params.pop(name, None)
    kept = QueryDict(mutable=True)
    for name, values in params.lists():
        kept.setlist(name, [value for value in values if value])
    query = kept.urlencode()
    if len(query) > 1000:
        raise LinkRefused("This address is too long to be saved.")
    return parts.path, query
