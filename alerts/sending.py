"""Hand one message to Apprise. What it says on failure never holds anything of the address."""

import logging
from dataclasses import dataclass

from alerts.addresses import Addresses
from alerts.wording import Message

#: The whole of one message; connecting and each answer have limits of their own in Apprise (4 s).
SEND_SECONDS = 15
_MAIL = frozenset({"mailto", "mailtos"})

# What Apprise writes about its work may hold addresses, at any level. What is worth telling is in the result.
_apprise_log = logging.getLogger("apprise")
_apprise_log.propagate = False
_apprise_log.addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class Outcome:
    was_sent: bool
    words: str


def not_sent(words: str) -> Outcome:
    return Outcome(was_sent=False, words=words)


def send(channel: str, message: Message, addresses: Addresses) -> Outcome:
    """Send and say how it went. Blocks; raises nothing."""
    address = addresses.get(channel)
    if not address:
        return not_sent(f"There is no address for {channel} in ALERT_CHANNELS of this process.")
    try:
        return _by_apprise(address, message, addresses)
    except Exception as error:  # whatever a plugin raises: its text may hold the address, its name does not
        return not_sent(f"It could not be sent ({type(error).__name__}).")


def _by_apprise(address: str, message: Message, addresses: Addresses) -> Outcome:
    import apprise

    service = apprise.Apprise()
    if not service.add(address):
        return not_sent("The address is not understood. See the form for this service in docs/alerts.md.")
    body, form = message.body, apprise.NotifyFormat.MARKDOWN if message.is_markdown else apprise.NotifyFormat.TEXT
    if message.html and address.partition("://")[0].lower() in _MAIL:
        body, form = message.html, apprise.NotifyFormat.HTML
    result = service.notify(title=message.title, body=body, body_format=form, timeout=SEND_SECONDS)
    if result:
        return Outcome(was_sent=True, words="Sent.")
    said = [entry.message for entry in result.logs() if entry.level in {"WARNING", "ERROR", "CRITICAL"}]
    words = addresses.redact(" ".join(said[-1].split())) if said else ""
    return not_sent(words[:250] or "The service did not take it, and did not say why.")
