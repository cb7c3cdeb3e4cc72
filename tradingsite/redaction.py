"""Keep secrets out of what is logged: keys, passwords, tokens, session ids and the addresses of channels.

What is known is looked for as it is, and as it looks quoted or escaped; what has the form of a secret is left out
without being known. Values shorter than four characters are found in any text, and are left out only by their form.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from urllib.parse import quote, quote_plus, unquote, urlsplit

from django.conf import settings
from django.http import HttpRequest

from work.middleware import request_in_hand

LEFT_OUT = "[redacted]"
LEAST = 4
#: The demo's key and secret, which the documentation tells; as a word it is the name of the account.
_PUBLIC = frozenset({"sim"})
_KEYS = ("ALPACA_API_KEY", "ALPACA_SECRET_KEY", "SECRET_KEY", "PASSWORD", "TOKEN")
_KEYS_OF_SOMETHING = tuple(f"_{name}" for name in _KEYS)
_ADDRESSES = ("DATABASE_URL", "Q_BROKER", "ALPACA_BASE_URL", "ALPACA_STREAM_URL", "ALPACA_DATA_URL")
_FIELD = re.compile(r"pass(?:word|phrase)|secret|token|otp|^code$|credential", re.IGNORECASE)
_COOKIES = r"sessionid|csrftoken|[a-z0-9_]*session"
_FORMS = (
    # Authorization: Basic dXNlcg==, 'Authorization': 'Bearer …', APCA-API-SECRET-KEY: …
    re.compile(r"(?i)(authorization[\"']?\s*[:=]\s*[\"']?)(?:(?:basic|bearer|token|digest)\s+)?[^\s\"',;}\\]+"),
    re.compile(r"(?i)(\b(?:basic|bearer)\s+)[A-Za-z0-9._~+/=-]{8,}"),
    re.compile(r"(?i)(apca-api-(?:key-id|secret-key)[\"']?\s*[:=]\s*[\"']?)[^\s\"',;}\\]+"),
    re.compile(
        r"(?i)((?:passwor[dt]|passwd|passphrase|pwd|secret(?:_?key)?|api_?key|token|session_?(?:id|key))[\"']?"
        r"\s*[:=]\s*[\"']?)[^\s\"',;&}\\]+"
    ),
    re.compile(rf"(?i)((?<![a-z0-9_])(?:{_COOKIES})[\"']?=[\"']?)[^\s\"',;&}}\\]+"),
    # scheme://user:password@host
    re.compile(r"(?i)(\b[a-z][a-z0-9+.-]{0,30}://[^\s/:@\"']*:)[^\s/@\"']+(?=@)"),
)


def redact(text: str) -> str:
    """Leave out every secret that is known here, and what looks like one."""
    text = redact_known(text)
    for form in _FORMS:
        text = form.sub(rf"\1{LEFT_OUT}", text)
    return text


def redact_known(text: str) -> str:
    known = _pattern(frozenset(_known()))
    return known.sub(LEFT_OUT, text) if known else text


@lru_cache(maxsize=64)
def _pattern(secrets: frozenset[str]) -> re.Pattern[str] | None:
    written = {way for secret in secrets for way in _ways_to_write(secret)}
    longest_first = sorted(written, key=lambda way: (-len(way), way))
    return re.compile("|".join(map(re.escape, longest_first))) if longest_first else None


def _ways_to_write(secret: str) -> Iterator[str]:
    yield from (secret, quote(secret, safe=""), quote(secret), quote_plus(secret), unquote(secret))
    yield from (json.dumps(secret)[1:-1], repr(secret)[1:-1], ascii(secret)[1:-1], secret.replace('"', '\\"'))


def _known() -> Iterator[str]:
    """Asked anew for each line: environment and request differ from one to the next."""
    for secret in _candidates():
        if len(secret) >= LEAST and secret not in _PUBLIC:
            yield secret


def _is_key(name: str) -> bool:
    return name in _KEYS or name.endswith(_KEYS_OF_SOMETHING)


def _candidates() -> Iterator[str]:
    yield from (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    yield from (value for name, value in os.environ.items() if value and _is_key(name))
    yield from (str(database.get("PASSWORD") or "") for database in settings.DATABASES.values())
    yield from (_password(os.environ.get(name, "")) for name in _ADDRESSES)
    yield from (settings.ALPACA_API_KEY, settings.ALPACA_SECRET_KEY, str(settings.EMAIL_HOST_PASSWORD or ""))
    yield from _of_addresses(settings.ALERT_CHANNELS)
    request = request_in_hand.get()
    if request is not None:
        yield from _of_request(request)


def _of_addresses(channels: Mapping[str, str]) -> Iterable[str]:
    from alerts.addresses import secrets_of

    for address in channels.values():
        split = urlsplit(address) if "[" not in address else None
        # Names of hosts, and ports, tell nothing and stand in many a line. With some services the host is the token.
        host = split.hostname if split and "." in (split.hostname or "") else None
        yield from (part for part in secrets_of(address) if part != host and not re.fullmatch(r"\d{1,5}", part))


def _password(address: str) -> str:
    try:
        return unquote(urlsplit(address).password or "")
    except ValueError:  # an address that is none: it was refused when the settings were read
        return ""


def _of_request(request: HttpRequest) -> Iterator[str]:
    yield from request.COOKIES.values()
    yield request.headers.get("Authorization", "").rpartition(" ")[2]
    # Not request.POST, which would read the body now: only what somebody has read already.
    posted = request.__dict__.get("_post")
    if posted is not None:
        for name, values in posted.lists():
            if _FIELD.search(name):
                yield from values
