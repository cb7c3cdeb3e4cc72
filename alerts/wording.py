"""What a message says. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.conditions import Condition
from alerts.kinds import ALERT_KINDS, AlertKind
from alerts.telling import Purpose
from ui.formatting import counted, in_new_york, span

_PREFIX = {Purpose.NEW: "", Purpose.WORSE: "Worse: ", Purpose.RESOLVED: "Resolved: "}
_NOT_MENDED = "No longer told: "
#: Longer texts are cut by many services anyway.
_LONGEST = 3000


@dataclass(frozen=True, slots=True)
class Message:
    title: str
    body: str
    is_markdown: bool = False
    html: str = ""  # the same for services that show HTML


def about(condition: Condition, *, purpose: Purpose, since: datetime, now: datetime, site_url: str) -> Message:
    kind = ALERT_KINDS[condition.kind].title
    where = f"[{condition.account}] " if condition.account else ""
    title = f"{_PREFIX[purpose]}{where}{kind} ({condition.severity.value})"
    return Message(title[:200], _joined(condition.sentence, _since(since, now), absolute(site_url, condition.link)))


def resolved(
    *, kind: str, account: str, since: datetime, now: datetime, link: str, site_url: str, ending: str = ""
) -> Message:
    """Say that it is over, or what its end was if it is not mended."""
    where = f"[{account}] " if account else ""
    prefix = _NOT_MENDED if ending else _PREFIX[Purpose.RESOLVED]
    lasted = span((now - since).total_seconds())
    text = ending or f"It is over; it lasted {lasted}."
    title = f"{prefix}{where}{ALERT_KINDS[AlertKind(kind)].title}"
    return Message(title[:200], _joined(text, "", absolute(site_url, link)))


def summary(messages: Sequence[tuple[str, str]], *, site_url: str) -> Message:
    """Tell by their titles what was held back, and the texts as far as there is room."""
    title = f"{counted(len(messages), 'more alert')} in this hour"
    lines = [f"- {title_of}: {body.partition(chr(10))[0]}" for title_of, body in messages]
    return Message(title, _joined("\n".join(lines), "", absolute(site_url, "/alerts/")))


def test_message(channel: str, *, actor: str, site_url: str) -> Message:
    text = f"This is a test of the channel {channel}, sent by {actor}. If you read it, alerts reach you here."
    return Message(f"Test of the channel {channel}", _joined(text, "", absolute(site_url, "/alerts/")))


def absolute(site_url: str, path: str) -> str:
    return f"{site_url.rstrip('/')}{path}"


def _since(since: datetime, now: datetime) -> str:
    if now - since < timedelta(minutes=1):
        return ""
    return f"Seen since {in_new_york(since, today=now.date(), style='full')}."


def _joined(text: str, since: str, link: str) -> str:
    room = _LONGEST - len(since) - len(link)
    short = text if len(text) <= room else f"{text[: room - 1]}…"
    return "\n".join(part for part in (short, since, link) if part)
