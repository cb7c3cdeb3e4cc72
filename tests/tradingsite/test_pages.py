"""Overview, system, status strip and kill switch: what they say in each state, and who may do what."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.db import connection
from django.template.loader import render_to_string
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.models import Failure, OrmQ

from audit.models import AuditEntry
from broker.models import Account, AccountSnapshot, RequestBudget
from positions.models import Position
from reconciliation.models import Drift, Run
from tests.factories import make_account, make_batch, make_order
from tradingsite import vital_signs
from work.models import Heartbeat, Lease

HTMX = {"HX-Request": "true"}
PAGES = ["/", "/positions/", "/orders/", "/audit/", "/system/", "/strip/"]


@pytest.fixture
def reader(client, people):
    client.force_login(people.trader)
    return client


@pytest.fixture
def account(db):
    return make_account()


def text_of(client, path="/", **headers):
    response = client.get(path, headers=headers)
    assert response.status_code == 200
    return response.content.decode()


def make_snapshot(account, **fields):
    now = timezone.now()
    defaults = {
        "read_at": now,
        "equity": "104233.17",
        "last_equity": "103028.67",
        "cash": "21000.5",
        "buying_power": "42000",
        "long_market_value": "80000",
        "short_market_value": "-3232.67",
        "market_is_open": True,
        "next_open": now + timedelta(hours=20),
        "next_close": now + timedelta(hours=2),
    }
    return AccountSnapshot.objects.create(account=account, **{**defaults, **fields})


def make_run(account, state="in_sync", **fields):
    now = timezone.now()
    defaults = {"trigger": "demand", "requested_by": "ops", "requested_at": now, "started_at": now, "finished_at": now}
    return Run.objects.create(account=account, state=state, **{**defaults, **fields})


def make_drift(account, symbol, **fields):
    run, now = make_run(account, "drift"), timezone.now()
    defaults: dict[str, Any] = {
        "key": f"missing_fill:{symbol}",
        "kind": "missing_fill",
        "group": "fills",
        "severity": "high",
    }
    defaults |= {"sentence": f"The fill of {symbol} is missing.", "local": {}, "broker": {}}
    return Drift.objects.create(
        account=account,
        symbol=symbol,
        first_run=run,
        last_run=run,
        first_seen_at=now,
        last_seen_at=now,
        **{**defaults, **fields},
    )


def make_position(account, symbol, **fields):
    now = timezone.now()
    defaults = {"sequence": 1, "state": "open", "side": "long", "qty": "10", "entry_qty": "10", "realized_pl": "0"}
    defaults |= {
        "avg_entry_price": "100",
        "cost_basis": "1000",
        "total_risk": "80",
        "last_price": "101",
    }
    return Position.objects.create(account=account, symbol=symbol, rebuilt_at=now, **{**defaults, **fields})


@pytest.mark.parametrize("path", PAGES)
def test_every_page_needs_a_log_in_and_shows_nothing_before(client, db, path):
    response = client.get(path)
    assert response.status_code == 302
    assert response["Location"] == f"/accounts/login/?next={path}"


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("person", ["trader", "ops", "admin"])
def test_everybody_who_is_logged_in_sees_every_page(client, people, person, path):
    client.force_login(getattr(people, person))
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", PAGES)
def test_pages_render_while_alpaca_is_down(reader, settings, path):
    settings.ALPACA_BASE_URL = "http://127.0.0.1:9"
    assert reader.get(path).status_code == 200


def test_log_in_page_shows_no_account(client, db):
    text = text_of(client, "/accounts/login/")
    assert "band" not in text
    wrong = client.post("/accounts/login/", {"username": "x", "password": "y"})
    assert "notice-bad" in wrong.content.decode()


def test_log_in_leads_on_to_the_page_that_was_asked_for(client, people):
    answer = {"username": "trader", "password": "correct horse 7", "next": "/orders/"}
    assert client.post("/accounts/login/", answer)["Location"] == "/orders/"
    assert client.post("/accounts/logout/")["Location"] == "/accounts/login/"


def test_only_staff_have_the_admin_in_their_menu(client, people):
    for person, has_admin in ((people.trader, False), (people.ops, False), (people.admin, True)):
        client.force_login(person)
        assert ('href="/admin/"' in text_of(client)) is has_admin


def test_content_security_policy_is_strict(reader):
    policy = reader.get("/")["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    ("environment", "word"), [("sim", "SIM"), ("paper", "PAPER"), ("live", "orders move real money")]
)
def test_the_environment_is_said_in_words_on_every_page(reader, environment, word):
    make_account(environment, environment=environment)
    for path in PAGES[:-1]:
        text = text_of(reader, f"{path}?account={environment}")
        assert f'class="band band-{environment}"' in text
        assert word in text


def test_the_accounts_notice_is_on_every_page_and_escaped(reader, account):
    Account.objects.filter(pk=account.pk).update(notice="Prices are <stand-ins>.")
    assert "Prices are &lt;stand-ins&gt;." in text_of(reader, "/audit/")


def test_overview_of_a_new_account_gives_the_first_steps(reader):
    text = text_of(reader)
    assert "First steps" in text
    assert "Never checked." in text


def test_overview_answers_where_do_i_stand(reader, account):
    make_snapshot(account)
    make_run(account)
    make_position(account, "UP", last_price="110")
    make_position(account, "DOWN", last_price="95")
    make_position(account, "PEND", state="pending", qty="0", cost_basis="0", last_price=None, total_risk=None)
    text = text_of(reader)
    assert "$104,233.17" in text
    assert "+1,204.50" in text
    assert "$83,232.67" in text
    assert "$160.00" in text
    assert "+50.00" in text
    assert "1 up, 1 down" in text
    assert "1 pending" in text
    assert "In sync." in text
    assert "First steps" not in text


def test_overview_never_takes_an_unknown_stop_for_no_risk(reader, account):
    make_position(account, "NAKED", total_risk=None)
    assert "1 position without a stop" in text_of(reader)


@pytest.mark.parametrize(
    ("state", "sentence"),
    [("in_sync", "In sync."), ("incomplete", "Not known."), ("drift", "Drift: 1 open difference ")],
)
def test_reconciliation_has_three_honest_states(reader, account, state, sentence):
    if state == "drift":
        make_drift(account, "FTNT")
    make_run(account, state, incomplete_reason="Page 3 never came." if state == "incomplete" else "")
    text = text_of(reader)
    assert sentence in text
    assert ("Page 3 never came." in text) is (state == "incomplete")


def test_a_sync_that_is_older_than_a_known_drift_is_no_sync(reader, account):
    make_drift(account, "FTNT")
    make_run(account, "in_sync")
    assert "In sync." not in text_of(reader)


def test_a_running_check_does_not_hide_the_last_result(reader, account):
    make_run(account, "in_sync")
    make_run(account, "running", finished_at=None)
    assert "In sync." in text_of(reader)


def test_open_root_drifts_are_counted_by_severity_with_their_dollars(reader, account):
    root = make_drift(account, "FTNT", dollars="4959.00")
    make_drift(account, "IBKR", dollars="14963.25")
    make_drift(account, "NVDA", severity="critical", dollars=None)
    # A cause is as grave as what follows from it, and its dollars are counted once.
    make_drift(account, "PLD", key="consequence", cause=root, dollars="999999", severity="critical")
    make_drift(account, "OLD", state="resolved")
    response = reader.get("/")
    groups = [(g.severity, g.count, g.dollars, g.without_dollars) for g in response.context["drift_groups"]]
    assert groups == [("critical", 2, Decimal(4959), 1), ("high", 1, Decimal("14963.25"), 0)]
    text = response.content.decode()
    assert '3<span class="visually-hidden"> open drifts' in text
    assert "The fill of IBKR is missing." in text
    assert "The fill of PLD is missing." not in text


def test_batches_of_today_show_their_progress(reader, account):
    now = timezone.now()
    batch = make_batch(account, name="today.csv", state="released", created_at=now, released_at=now)
    make_order(account, batch=batch)
    make_order(account, batch=batch, submission_state="recorded")
    make_order(account, batch=batch, submission_state="denied")
    make_batch(account, name="last-year.csv", state="finished", created_at=now - timedelta(days=365))
    text = text_of(reader)
    assert "today.csv" in text
    assert "2 of 3 settled, 1 refused" in text
    assert "last-year.csv" not in text


def test_overview_asks_the_same_number_of_queries_for_2_and_30_rows(reader, account):
    def fill(start, end):
        for number in range(start, end):
            make_position(account, f"S{number}")
            make_drift(account, f"S{number}")
            batch = make_batch(account, created_at=timezone.now())
            make_order(account, batch=batch)
            Heartbeat.objects.create(name=f"part-{number}", at=timezone.now())

    make_snapshot(account)
    fill(0, 2)
    with CaptureQueriesContext(connection) as few:
        text_of(reader)
    fill(2, 30)
    with CaptureQueriesContext(connection) as many:
        text_of(reader)
    assert len(many) == len(few)


def test_a_refresh_gets_the_fragment_alone(reader):
    for path, region in (("/", "overview"), ("/system/", "system"), ("/audit/", "entries")):
        text = text_of(reader, path, **HTMX)
        assert f'id="{region}"' in text
        assert "<html" not in text


def test_unchanged_data_gives_an_unchanged_fragment(reader, account):
    """live.js leaves a region alone when nothing changed: the server must not put the age into the text."""
    make_snapshot(account)
    make_run(account)
    assert text_of(reader, "/", **HTMX) == text_of(reader, "/", **HTMX)


def test_strip_carries_the_drift_badge_for_the_menu(reader, account):
    make_snapshot(account)
    make_drift(account, "FTNT")
    text = text_of(reader, "/strip/", **HTMX)
    assert 'id="drift-badge" hx-swap-oob="true"' in text
    assert "<strong>open</strong>, closes" in text


def test_system_page_shows_signs_queue_leases_budget_database_and_failures(reader, account):
    now = timezone.now()
    Heartbeat.objects.create(name="ticker", at=now - timedelta(minutes=5), holder="host:1:2")
    Lease.objects.create(name="reconcile:1", holder="host:12:3", expires_at=now + timedelta(minutes=1))
    Lease.objects.create(name="free-one", holder="", expires_at=now)
    RequestBudget.objects.create(
        account=account, window_started_at=now, window_ends_at=now + timedelta(minutes=1), limit=200, used=37
    )
    Failure.objects.create(
        id="x", name="x", func="orders.tasks.follow_task", started=now, stopped=now, success=False, result="Boom <1>"
    )
    text = text_of(reader, "/system/")
    for words in ("silent", "reconcile:1", "37 of 200 used", "Boom &lt;1&gt;", "django-q2", "Waiting"):
        assert words in text
    assert "free-one" not in text


def test_queue_tells_waiting_from_taken(db, settings):
    now = timezone.now()
    OrmQ.objects.create(key="trading", payload="x", lock=now - timedelta(seconds=30))
    OrmQ.objects.create(key="trading", payload="x", lock=now + timedelta(seconds=settings.Q_CLUSTER["retry"]))
    queue = vital_signs.read_queue(now)
    assert (queue.waiting, queue.in_hand) == (1, 1)
    assert queue.oldest_at == now - timedelta(seconds=30)


def test_a_silent_cluster_is_seen_beside_a_living_one(reader, account):
    now = timezone.now()
    for host, seconds in (("dead", 300), ("alive", 1)):
        cluster = f"{host}:1:2.00@x"
        for part in ("ticker", "worker", "results"):
            at = now - timedelta(seconds=seconds)
            Heartbeat.objects.create(name=part, cluster=cluster, at=at, holder=cluster)
    signs = vital_signs.signs_of_life(now)
    assert [(sign.name, sign.holder.partition(":")[0], sign.state) for sign in signs] == [
        (part, host, state)
        for part in ("ticker", "worker", "results")
        for host, state in (("alive", "alive"), ("dead", "silent"))
    ]
    text = text_of(reader, "/system/")
    assert "dead:1:2.00@x" in text
    assert "alive:1:2.00@x" in text
    assert vital_signs.absence_of_worker(now) is None


def test_a_queue_that_cannot_be_read_is_said_to_be_so(reader, settings, monkeypatch):
    def refuse():
        raise ConnectionError("no redis at 127.0.0.1:6379")

    settings.Q_BROKER = "redis://127.0.0.1:6379"
    monkeypatch.setattr(vital_signs, "get_broker", refuse)
    text = text_of(reader, "/system/")
    assert 'data-empty="failed"' in text
    assert "no redis at 127.0.0.1:6379" in text
    assert "could not be read" in text_of(reader)


@pytest.mark.parametrize(
    ("seconds", "state"), [(None, "never"), (0, "alive"), (15, "alive"), (16, "late"), (61, "silent")]
)
def test_signs_of_life(seconds, state):
    now = timezone.now()
    at = None if seconds is None else now - timedelta(seconds=seconds)
    assert vital_signs.state_at(at, now) == state


def test_a_person_with_the_permission_stops_and_resumes_sending(client, people, account):
    client.force_login(people.ops)
    assert "Stop sending" in text_of(client)
    response = client.post("/system/halt", {"reason": "Strange fills", "account": "sim"})
    assert response["Location"] == "/"
    account.refresh_from_db()
    assert account.sending_halted
    assert account.halted_by == "ops"
    text = text_of(client, "/positions/")
    assert "Sending is halted for Sim." in text
    assert "Strange fills" in text
    assert "HALTED" in text
    client.post("/system/resume", {"reason": "Looked into it", "account": "sim"})
    account.refresh_from_db()
    assert not account.sending_halted
    assert list(AuditEntry.objects.values_list("action", "reason")) == [
        ("account.resumed", "Looked into it"),
        ("account.halted", "Strange fills"),
    ]


@pytest.mark.parametrize("path", ["/system/halt", "/system/resume"])
def test_the_kill_switch_needs_permission_post_and_a_reason(client, people, account, path):
    client.force_login(people.trader)
    assert "Stop sending" not in text_of(client)
    assert client.post(path, {"reason": "x"}).status_code == 403
    client.force_login(people.ops)
    assert client.get(path).status_code == 405
    response = client.post(path, {"reason": "  "})
    assert "give a reason" in str(next(iter(get_messages(response.wsgi_request))))
    account.refresh_from_db()
    assert not account.sending_halted
    assert not AuditEntry.objects.exists()


def test_halting_twice_says_so_and_changes_nothing(client, people, account):
    client.force_login(people.ops)
    client.post("/system/halt", {"reason": "first"})
    response = client.post("/system/halt", {"reason": "second"}, follow=True)
    assert "halted already" in response.content.decode()
    assert AuditEntry.objects.count() == 1


def test_halting_means_the_account_of_the_page_not_the_last_chosen_one(client, people, account):
    paper = make_account("paper", environment="paper")
    client.force_login(people.ops)
    client.get("/?account=paper")
    client.post("/system/halt", {"reason": "x", "account": "sim"})
    account.refresh_from_db()
    paper.refresh_from_db()
    assert account.sending_halted
    assert not paper.sending_halted
    assert client.post("/system/halt", {"reason": "x", "account": "gone"}).status_code == 404


@pytest.mark.parametrize("code", ["400", "403", "404", "500", "403_csrf"])
def test_error_pages_render_without_anything_around_them(code):
    assert "<h1>" in render_to_string(f"{code}.html")


def test_a_page_that_does_not_exist_is_not_found(reader):
    response = reader.get("/nowhere/")
    assert response.status_code == 404
    assert "There is no such page" in response.content.decode()
