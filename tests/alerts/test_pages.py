"""What the pages show, who may test a channel, and that no address is ever shown."""

import pytest
from django.utils import timezone

from alerts.addresses import Addresses, parse
from alerts.channels import ensure_channels
from alerts.conditions import Condition
from alerts.kinds import AlertKind
from alerts.models import Alert, Channel, Delivery
from alerts.noting import note
from audit.models import AuditEntry
from reconciliation.kinds import Severity
from tests.alerts.receivers import closed_port, webhook
from tests.factories import make_account

LINK = "/reconciliation/?account=sim"


@pytest.fixture
def desk(db, settings):
    make_account()
    settings.ALERT_CHANNELS = parse("desk=json://user:pass-word-9@127.0.0.1:1/very-secret-path")
    ensure_channels(timezone.now())
    return Channel.objects.get()


@pytest.fixture
def alert(desk):
    condition = Condition(
        key="drift:sim:high", kind=AlertKind.DRIFT, severity=Severity.HIGH, account="sim", link=LINK,
        sentence="<script>alert(1)</script> differs.", things=frozenset({"drift 1"}),
    )  # fmt: skip
    note([condition], now=timezone.now())
    return Alert.objects.get()


@pytest.fixture
def reader(client, people):
    client.force_login(people.trader)
    return client


def text_of(client, path, **headers):
    answer = client.get(path, headers=headers)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_list_and_the_messages(reader, alert):
    page = text_of(reader, "/alerts/")
    assert f'href="{LINK}">&lt;script&gt;alert(1)&lt;/script&gt; differs.' in page
    assert "<script>alert(1)" not in page
    assert '<span class="count count-bad">1<span class="visually-hidden"> open alerts' in page
    messages = text_of(reader, f"/alerts/deliveries/?alert={alert.pk}")
    assert "[sim] Drift (high)" in messages
    assert "desk" in messages
    for shown in (page, messages):
        assert "very-secret-path" not in shown
        assert "pass-word-9" not in shown


@pytest.mark.parametrize(
    ("query", "found"),
    [("?status=open", 1), ("?status=closed", 0), ("?kind=drift", 1), ("?severity=low", 0), ("?sort=kind&page=9", 1)],
)
def test_filters(reader, alert, query, found):
    assert reader.get(f"/alerts/{query}").context["listing"].total == found


@pytest.mark.parametrize("query", ["?alert=x", "?alert=9999999999999999999999", "?state=nosuch", "?alert=٣"])
def test_nonsense_in_the_address_is_no_fault(reader, alert, query):
    assert reader.get(f"/alerts/deliveries/{query}").status_code == 200


def test_both_lists_are_files_too(reader, alert):
    assert b"drift,high" in b"".join(reader.get("/alerts/?format=csv").streaming_content)
    assert b"desk,new" in b"".join(reader.get("/alerts/deliveries/?format=csv").streaming_content)


def test_a_part_of_the_page_refreshes_itself(reader, alert):
    assert "<html" not in text_of(reader, "/alerts/", **{"HX-Request": "true"})
    assert 'id="alert-badge" hx-swap-oob="true"' in text_of(reader, "/strip/", **{"HX-Request": "true"})


def test_nobody_is_told_where_there_is_no_channel(reader, db, settings):
    settings.ALERT_CHANNELS = Addresses()
    make_account()
    assert "Nobody is told" in text_of(reader, "/alerts/")


# --- The channel in admin -----------------------------------------------------------------------------------------


@pytest.fixture
def boss(client, people):
    client.force_login(people.admin)
    return client


def test_the_test_button_sends_for_real_and_tells_the_outcome(boss, desk, settings):
    with webhook() as hook:
        settings.ALERT_CHANNELS = parse(f"desk={hook.address()}")
        change = f"/admin/alerts/channel/{desk.pk}/change/"
        assert f'formaction="/admin/alerts/channel/{desk.pk}/test/"' in text_of(boss, change)
        answer = boss.post(f"/admin/alerts/channel/{desk.pk}/test/", follow=True)
        assert answer.redirect_chain[-1][0] == change
        assert "The test went out by desk." in answer.content.decode()
        assert hook.got[0]["title"] == "Test of the channel desk"
        assert "sent by admin" in hook.got[0]["message"]
    assert Delivery.objects.get().state == "sent"
    assert AuditEntry.objects.get(action="channel.tested").actor == "admin"


def test_a_test_that_fails_says_why_without_the_address(boss, desk, settings):
    settings.ALERT_CHANNELS = parse(f"desk=json://user:pass-word-9@127.0.0.1:{closed_port()}/very-secret-path")
    answer = boss.post(f"/admin/alerts/channel/{desk.pk}/test/", follow=True)
    text = answer.content.decode()
    assert "The test did not go out by desk:" in text
    assert "very-secret-path" not in text
    assert Delivery.objects.get().state == "failed"


def test_a_channel_that_hangs_is_given_up(desk, settings):
    from alerts.trying import try_channel

    with webhook() as hook:
        hook.hangs.set()
        settings.ALERT_CHANNELS = parse(f"desk={hook.address()}")
        outcome = try_channel(channel=desk, actor="admin", now=timezone.now(), patience=0.3)
    assert not outcome.was_sent
    assert Delivery.objects.get().outcome.startswith("There was no end to it")


@pytest.mark.parametrize("who", ["trader", "ops"])
def test_only_an_admin_may_test(client, people, desk, who):
    client.force_login(getattr(people, who))
    assert client.post(f"/admin/alerts/channel/{desk.pk}/test/").status_code in {302, 403}
    assert Delivery.objects.count() == 0


def test_a_look_at_the_address_of_the_test_sends_nothing(boss, desk):
    assert boss.get(f"/admin/alerts/channel/{desk.pk}/test/").status_code == 405
    assert Delivery.objects.count() == 0


def test_a_change_is_journaled_and_nothing_can_be_added_or_deleted(boss, desk):
    fields = {"is_on": "on", "lowest_severity": "critical", "muted_kinds": ["worker"], "most_an_hour": "5"}
    assert boss.post(f"/admin/alerts/channel/{desk.pk}/change/", fields).status_code == 302
    desk.refresh_from_db()
    assert (desk.lowest_severity, desk.muted_kinds, desk.sends_reports) == ("critical", ["worker"], False)
    assert "lowest_severity" in AuditEntry.objects.get(action="channel.changed").summary
    assert boss.get("/admin/alerts/channel/").status_code == 200
    assert boss.get("/admin/alerts/channel/add/").status_code == 403
    assert boss.post(f"/admin/alerts/channel/{desk.pk}/delete/", {"post": "yes"}).status_code == 403
