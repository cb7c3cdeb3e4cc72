"""From where somebody asks. What a proxy says counts only as far as the installation says that there is one."""

from ipaddress import IPv6Address, ip_address, ip_network

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


def counted_address(request: HttpRequest) -> str | None:
    """Return what failures are counted by: one customer of IPv6 has 2**64 addresses at least, and is one stranger."""
    found = client_address(request)
    if found is None or ":" not in found:
        return found
    return str(ip_network(f"{found}/64", strict=False).network_address)


def _valid(text: str) -> str | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    inner = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return str(inner or found)
