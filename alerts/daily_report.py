"""The report of a day: made once, kept as it was, and sent by the channels that want it."""

import logging
from datetime import date, datetime

from django.conf import settings
from django.db import IntegrityError, transaction
from django.template.loader import render_to_string
from django.urls import reverse

from alerts.daily_facts import Day, facts_of
from alerts.daily_text import as_markdown, headline, journal_line
from alerts.models import Channel, DailyReport, Delivery
from alerts.telling import Purpose
from alerts.wording import absolute
from broker.models import Account

logger = logging.getLogger(__name__)

#: Chats refuse longer messages.
LONGEST_MESSAGE = 3500


def make_report(*, account: Account, day: date, now: datetime) -> DailyReport | None:
    """Make and record the report with a message for each channel that wants it; None if it was made already."""
    mine = DailyReport.objects.filter(account=account, day=day)
    if mine.exists():
        return None
    facts = facts_of(account=account, day=Day(day), now=now)
    link = absolute(settings.SITE_URL, f"{reverse('alerts:reports')}?account={account.slug}&day={day}")
    try:
        with transaction.atomic():
            report = DailyReport.objects.create(
                account=account,
                day=day,
                made_at=now,
                facts=facts,
                markdown=as_markdown(facts, link=link),
                html=render_to_string("alerts/report_document.html", {"facts": facts, "link": link}),
            )
            _address(report, now, link)
    except IntegrityError:  # another process made it at the same moment
        return None
    # The log may be kept where the database's owner cannot write: then it proves the end of the chain.
    journal = facts["journal"]
    logger.info(
        "report of %s for %s, audit journal head %s:%s", account.slug, day, journal["entries"], journal["digest"]
    )
    return report


def _address(report: DailyReport, now: datetime, link: str) -> None:
    title = f"Daily report {headline(report.facts)}"[:200]
    body = shortened(report.markdown, link=link, journal=journal_line(report.facts))
    for channel in Channel.objects.filter(is_on=True, sends_reports=True, name__in=settings.ALERT_CHANNELS):
        Delivery.objects.create(
            channel=channel, report=report, purpose=Purpose.REPORT, title=title, body=body, created_at=now,
            not_before=now,
        )  # fmt: skip


def shortened(markdown: str, *, link: str, journal: str) -> str:
    """Cut a long report at the end of a line, and say where the whole of it is.

    The head of the journal stays: kept by a chat it proves what the database alone cannot.
    """
    if len(markdown) <= LONGEST_MESSAGE:
        return markdown
    ending = f"\n\nThe rest is on the page of the report: {link}\n\nJournal: {journal}\n"
    return f"{markdown[: LONGEST_MESSAGE - len(ending)].rpartition(chr(10))[0]}{ending}"
