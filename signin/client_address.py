"""From where somebody asks. What a proxy says counts only as far as the installation says that there is one."""

from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str | None:
    """Return the address of whoever talked to the outermost of our own TRUSTED_PROXIES; None: not known.

    Each proxy adds its peer at the right end of X-Forwarded-For. What is further left was sent by the client and may
    say anything.
    """
    direct = str(request.META.get("REMOTE_ADDR", ""))
    hops = [hop.strip() for hop in str(request.META.get("HTTP_X_FORWARDED_FOR", "")).split(",")]
    proxies: int = settings.TRUSTED_PROXIES
    found = hops[-proxies] if 0 < proxies <= len(hops) else direct
    return _valid(found) or _valid(direct)


def _valid(text: str) -> str | None:
    try:
        return str(ip_address(text))
    except ValueError:
        return None
