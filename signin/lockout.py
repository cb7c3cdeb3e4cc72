"""What django-axes counts failed log-ins by. It calls these by name (AXES_… in the settings)."""

from collections.abc import Mapping
from typing import Any

from axes.backends import AxesStandaloneBackend
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.utils.crypto import salted_hmac


class LockOutBackend(AxesStandaloneBackend):  # type: ignore[misc]  # django-axes has no types
    """Refuses whoever is locked out. A password that is checked without a request comes from no stranger."""

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> None:
        if request is not None:
            super().authenticate(request, **credentials)


def counted_name(request: HttpRequest, credentials: Mapping[str, Any] | None) -> str:
    """Return a person's name as it is, and any other only as a digest: people type passwords into the wrong field."""
    name = str((credentials or {}).get("username") or request.POST.get("username", ""))
    return name if is_a_person(request, name) else "unknown:" + salted_hmac("signin.lockout", name).hexdigest()[:32]


def is_a_person(request: HttpRequest, name: str) -> bool:
    known: dict[str, bool] = request.__dict__.setdefault("_names_of_people", {})
    if name not in known:
        known[name] = User.objects.filter(username=name).exists()
    return known[name]
