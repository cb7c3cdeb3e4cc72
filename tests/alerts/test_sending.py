"""Messages leave for real: to a webhook, by mail, to one that hangs and to one that refuses."""

import logging
import time
from datetime import timedelta
from functools import partial
from io import StringIO

import pytest

from alerts.addresses import Addresses, parse
from alerts.channels import ensure_channels
from alerts.conditions import conditions_of
from alerts.courier import Courier
from alerts.looking import look
from alerts.models import Alert, Channel, Delivery
from alerts.noting import note
from alerts.sending import send
from alerts.trying import try_channel
from alerts.wording import Message
from broker.models import Account
from tests.alerts.receivers import closed_port, mail_server, webhook
from tests.factories import NOW, make_account

MESSAGE = Message("A title", "A text with a link\nhttp://127.0.0.1/alerts/")


def after(seconds):
    return NOW + timedelta(seconds=seconds)


def look_and_note(now=NOW):
    ensure_channels(now)
    note(conditions_of(look(now), now=now, approval_after=timedelta(minutes=15)), now=now)


def halt(account: Account, now=NOW):
    Account.objects.filter(pk=account.pk).update(
        sending_halted=True, halted_at=now, halted_by="ops", halted_reason="strange fills"
    )


@pytest.fixture
def halted(db):
    account = make_account()
    halt(account)
    return account


def test_a_trouble_reaches_a_webhook_once_with_a_link(halted, settings):
    with webhook() as hook:
        settings.ALERT_CHANNELS, settings.SITE_URL = parse(f"desk={hook.address()}"), "https://trading.example.test"
        courier = Courier()
        for seconds in (0, 5, 10):
            look_and_note(after(seconds))
            courier.carry(partial(after, seconds), seconds=10)
        assert len(hook.got) == 1
        assert hook.got[0]["title"] == "[sim] Kill switch on (high)"
        assert "ops halted all sending: strange fills." in hook.got[0]["message"]
        assert hook.got[0]["message"].endswith("https://trading.example.test/?account=sim")
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.outcome, delivery.attempts) == ("sent", "Sent.", 1)
    assert Alert.objects.get().told_severity == "high"


def test_what_a_service_refuses_is_tried_again_later_and_a_handful_of_times(halted, settings):
    with webhook() as hook:
        hook.status = 500
        settings.ALERT_CHANNELS = parse(f"desk={hook.address('secret-token')}")
        look_and_note()
        courier, seconds = Courier(), 0
        tries = []
        for _ in range(400):
            courier.carry(partial(after, seconds), seconds=10)
            tries.append(len(hook.got))
            seconds += 30
        assert tries[0] == 1
        assert tries[-1] == 6
    delivery = Delivery.objects.get()
    assert delivery.state == "failed"
    assert "500" in delivery.outcome
    assert "secret-token" not in delivery.outcome


def test_a_channel_that_fails_is_told_by_the_others(halted, settings):
    with webhook() as broken, webhook() as well:
        broken.status = 403
        settings.ALERT_CHANNELS = parse(f"broken={broken.address()} well={well.address()}")
        courier = Courier()
        look_and_note()
        courier.carry(partial(after, 0), seconds=10)
        look_and_note(after(5))
        courier.carry(partial(after, 5), seconds=10)
        assert [message["title"] for message in well.got] == ["[sim] Kill switch on (high)", "Channel fails (medium)"]
        assert not Delivery.objects.filter(alert__kind="channel", channel__name="broken").exists()
        assert "broken: " in well.got[1]["message"]
        broken.status = 200
        for seconds in (600, 610, 1200, 1260):
            courier.carry(partial(after, seconds), seconds=10)
            look_and_note(after(seconds))
        assert Alert.objects.get(kind="channel").state == "closed"


def test_a_channel_that_failed_last_is_not_said_to_work_again_because_time_went_by(halted, settings):
    with webhook() as broken, webhook() as well:
        broken.status = 403
        settings.ALERT_CHANNELS = parse(f"broken={broken.address()} well={well.address()}")
        courier = Courier()
        for seconds in (0, 5, 65, 400, 1400, 5100, 9000, 86400 * 3):
            courier.carry(partial(after, seconds), seconds=10)
            look_and_note(after(seconds))
        assert "Resolved: Channel fails" not in [message["title"] for message in well.got]
        assert Alert.objects.get(kind="channel").state == "open"
        broken.status = 200
        outcome = try_channel(channel=Channel.objects.get(name="broken"), actor="ops", now=after(86400 * 3 + 5))
        assert outcome.was_sent  # nothing but a test ever goes by it
        for seconds in (86400 * 3 + 10, 86400 * 3 + 60):
            look_and_note(after(seconds))
        assert Alert.objects.get(kind="channel").state == "closed"


def test_a_channel_without_an_address_is_nobody_s_trouble(halted, settings):
    settings.ALERT_CHANNELS = parse("desk=json://127.0.0.1:1/")
    look_and_note()
    Delivery.objects.update(state="failed", attempts=6, outcome="No.", claimed_at=NOW)
    assert look(after(5)).failing_channels
    settings.ALERT_CHANNELS = Addresses()
    assert not look(after(5)).failing_channels


def test_that_it_is_over_is_told_after_the_trouble_never_before(halted, settings):
    with webhook() as hook:
        hook.status = 500
        settings.ALERT_CHANNELS = parse(f"desk={hook.address()}")
        courier = Courier()
        look_and_note()
        for seconds in (0, 20, 90):  # the next try would be at 390
            courier.carry(partial(after, seconds), seconds=10)
        Account.objects.update(sending_halted=False)
        look_and_note(after(140))
        hook.status = 200
        hook.got.clear()
        courier.carry(partial(after, 141), seconds=10)
        assert [message["title"] for message in hook.got] == [
            "[sim] Kill switch on (high)",
            "Resolved: [sim] Kill switch on",
        ]


def test_a_trouble_of_which_nobody_heard_is_told_again_while_it_lasts(halted, settings):
    with webhook() as hook:
        hook.status = 500
        settings.ALERT_CHANNELS = parse(f"desk={hook.address()}")
        courier = Courier()
        for seconds in range(0, 6000, 60):
            look_and_note(after(seconds))
            courier.carry(partial(after, seconds), seconds=10)
        assert Delivery.objects.filter(alert__kind="halted", state="failed").exists()
        hook.status = 200
        hook.got.clear()
        for seconds in range(6000, 10000, 60):
            look_and_note(after(seconds))
            courier.carry(partial(after, seconds), seconds=10)
        assert [message["title"] for message in hook.got].count("[sim] Kill switch on (high)") == 1


def test_what_has_waited_for_a_day_is_news_no_more(halted, settings):
    with webhook() as hook:
        settings.ALERT_CHANNELS = parse(f"desk={hook.address()}")
        look_and_note()
        Account.objects.update(sending_halted=False)
        look_and_note(after(100))
        Channel.objects.update(is_on=False)
        Courier().carry(partial(after, 86400 * 30), seconds=5)
        Channel.objects.update(is_on=True)
        Courier().carry(partial(after, 86400 * 30), seconds=5)
        Courier().carry(partial(after, 86400 * 30), seconds=5)
        assert hook.got == []
    assert list(Delivery.objects.values_list("state", "outcome")) == [("failed", "Not sent for a day.")] * 2


def test_one_that_hangs_keeps_neither_the_others_nor_the_caller_waiting(halted, settings):
    with webhook() as slow, webhook() as quick:
        slow.hangs.set()
        settings.ALERT_CHANNELS = parse(f"a-slow={slow.address()} b-quick={quick.address()}")
        look_and_note()
        began = time.monotonic()
        Courier().carry(lambda: NOW, seconds=1)
        assert time.monotonic() - began < 3
        assert len(quick.got) == 1
    assert {row.channel.name: row.state for row in Delivery.objects.select_related("channel")} == {
        "a-slow": "sending",
        "b-quick": "sent",
    }


def test_nobody_listens(settings):
    settings.ALERT_CHANNELS = parse(f"gone=json://user:pass-word-9@127.0.0.1:{closed_port()}/very-secret-path")
    outcome = send("gone", MESSAGE, settings.ALERT_CHANNELS)
    assert not outcome.was_sent
    assert outcome.words
    for secret in ("pass-word-9", "very-secret-path", "user"):
        assert secret not in outcome.words


def test_a_mail_arrives_and_a_refused_one_is_told(settings):
    with mail_server() as mail:
        addresses = parse(f"post={mail.address()}")
        assert send("post", MESSAGE, addresses).was_sent
        assert "Subject: A title" in mail.got[0]
        mail.refuses = True
        outcome = send("post", MESSAGE, addresses)
        assert not outcome.was_sent
        assert "ops@example.test" not in outcome.words


@pytest.mark.parametrize("address", ["nonsense://x/y", "json://", "slack://only-one-part"])
def test_an_address_that_is_not_understood_is_told_without_it(address, capfd):
    log = StringIO()
    handler = logging.StreamHandler(log)
    logging.getLogger().addHandler(handler)  # not caplog, which hears what no handler of ours would
    try:
        outcome = send("desk", MESSAGE, Addresses({"desk": address}))
    finally:
        logging.getLogger().removeHandler(handler)
    assert not outcome.was_sent
    assert "not understood" in outcome.words
    assert address not in log.getvalue() + "".join(capfd.readouterr())


def test_a_channel_without_an_address_is_told():
    assert "no address" in send("desk", MESSAGE, Addresses()).words


def test_a_killed_sender_s_message_goes_out_once_more_and_no_third_time(halted, settings):
    with webhook() as hook:
        settings.ALERT_CHANNELS = parse(f"desk={hook.address()}")
        look_and_note()
        dead = {"state": "sending", "claimed_by": "elsewhere:1:2.00", "claimed_at": NOW, "attempts": 1}
        Delivery.objects.update(**dead)
        Courier().carry(partial(after, 30), seconds=5)
        assert hook.got == []  # it may still be at it
        Courier().carry(partial(after, 91), seconds=5)
        assert len(hook.got) == 1
        Delivery.objects.update(**dead)
        Courier().carry(partial(after, 91), seconds=5)
        assert len(hook.got) == 1
    delivery = Delivery.objects.get()
    assert delivery.state == "failed"
    assert "may have arrived" in delivery.outcome


def test_a_trouble_that_was_there_before_the_first_channel_is_told_to_it(halted, settings):
    settings.ALERT_CHANNELS = Addresses()
    look_and_note()
    assert Delivery.objects.count() == 0
    settings.ALERT_CHANNELS = parse("desk=json://127.0.0.1:1/")
    look_and_note(NOW + timedelta(minutes=10))
    assert Delivery.objects.get().alert == Alert.objects.get()
    assert Channel.objects.get().name == "desk"
