"""`manage.py submit_batch` as an outsider meets it: exit status, one document, sentences on stderr."""

import io
import json
from contextlib import redirect_stdout
from datetime import datetime

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from orders.carrying_through import carry_through
from orders.models import Batch, Order
from orders.releasing import NEW_YORK
from tests.orders.conftest import ONE, SEVEN, orders_at_broker, posts, release

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def submit(tmp_path, sim_account, capsys):
    def run(text, *options, name="orders.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        out, status = io.StringIO(), 0
        with redirect_stdout(out):
            try:
                call_command("submit_batch", str(path), *options, stdout=out)
            except SystemExit as end:
                status = int(str(end.code))
            except CommandError as error:
                status = error.returncode
        return status, out.getvalue(), capsys.readouterr().err

    return run


def test_a_good_file_is_sent_and_confirmed(sim, submit):
    status, out, err = submit(SEVEN)
    assert status == 0
    assert "7/7 confirmed" in err
    assert "all 7 orders were accepted" in err
    assert out.count("line ") == 7
    assert len(orders_at_broker(sim)) == 7
    assert Batch.objects.get().created_by.startswith("command:")


def test_json_is_one_document(sim, submit):
    status, out, _ = submit('{"orders": [{"symbol": "AAPL", "side": "buy", "qty": "10"}]}', "--json", name="o.json")
    assert status == 0
    document = json.loads(out)
    assert out.count("\n") <= 1
    order = Order.objects.get()
    assert set(document) == {"batch", "state", "account", "errors", "warnings", "orders"}
    assert (document["batch"], document["state"], document["account"]) == (order.batch_id, "finished", "sim")
    [shown] = document["orders"]
    wanted = {
        "line", "client_order_id", "broker_order_id", "symbol", "side", "qty", "submission_state", "status",
        "filled_qty", "filled_avg_price", "refusal",
    }  # fmt: skip
    assert wanted <= set(shown)
    assert (shown["submission_state"], shown["qty"], shown["filled_qty"]) == ("confirmed", "10", "10")
    assert shown["refusal"] is None


def test_a_bad_line_records_nothing_and_is_named(submit):
    status, out, err = submit("symbol,side,qty\nAAPL,buy,1\nMSFT,buy,ten\n", "--json")
    assert status == 2
    assert "orders.csv: line 3, qty: expected a number such as 12.5, found 'ten'\n" in err
    document = json.loads(out)
    assert (document["batch"], document["state"], document["orders"][0]["symbol"]) == (None, "unusable", "AAPL")
    assert document["errors"] == [
        {"line": 3, "field": "qty", "message": "expected a number such as 12.5, found 'ten'"}
    ]  # fmt: skip
    assert not Batch.objects.exists()


def test_a_dry_run_records_nothing(sim, submit):
    status, out, err = submit(ONE, "--dry-run", "--json")
    assert status == 0
    assert json.loads(out)["state"] == "checked"
    assert "Nothing was recorded" in err
    assert not Batch.objects.exists()
    assert posts(sim) == []


def test_the_same_file_twice_is_refused(submit):
    assert submit(ONE)[0] == 0
    status, _, err = submit(ONE)
    assert status == 2
    assert "not recorded in the last day" in err
    assert Batch.objects.count() == 1


def test_a_rejected_order_is_exit_status_one(sim, submit):
    sim.fault(
        "status", "POST", "/v2/orders", status=403, body={"code": 40310000, "message": "insufficient buying power"}
    )
    status, _, err = submit(SEVEN)
    assert status == 1
    assert "6 of 7 orders were accepted" in err
    assert Order.objects.get(submission_state="rejected").refusal.startswith("insufficient buying power")


def test_halted_sending_does_not_wait(sim, sim_account, submit):
    sim_account.sending_halted = True
    sim_account.save()
    status, _, err = submit(ONE)
    assert status == 1
    assert "warning: Sending is halted" in err
    assert posts(sim) == []


def test_a_lost_answer_is_waited_for_and_said(sim, submit):
    sim.fault("drop_answer", "POST", "/v2/orders")
    sim.fault("status", "GET", "/v2/orders:by_client_order_id", times=4, status=503)
    status, _, err = submit(ONE)
    assert status == 0
    assert "1/1 unconfirmed — looking for it at Alpaca" in err


def test_what_stays_unknown_is_exit_status_one(sim, sim_account):
    sim.fault("status", "POST", "/v2/orders", status=504)
    from django.utils import timezone

    batch = release(sim_account)
    progress = carry_through(batch=batch, clock=timezone.now, tell=lambda _: None, patience=1)
    assert str(progress) == "1/1 unconfirmed"


def test_a_time_is_kept_for_the_worker(sim, submit):
    status, out, err = submit(ONE, "--at", "default", "--json")
    assert status == 0
    batch = Batch.objects.get()
    assert batch.scheduled_for is not None
    at = batch.scheduled_for.astimezone(NEW_YORK)
    assert (at.hour, at.minute) == (8, 0)
    assert json.loads(out)["state"] == "scheduled"
    assert "by the worker" in err
    assert posts(sim) == []


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--at", "noon"], "--at: expected HH:MM"),
        (["--at", "2020-01-01T10:00"], "expected a time to come"),
        (["--account", "nobody"], "nobody"),
    ],
)
def test_bad_options_are_one_sentence(submit, options, expected, sim_account, tmp_path):
    path = tmp_path / "o.csv"
    path.write_text(ONE)
    with pytest.raises(CommandError, match=expected) as raised:
        call_command("submit_batch", str(path), *options)
    assert raised.value.returncode == 2
    assert not Batch.objects.exists()


def test_a_file_that_is_not_there_and_a_broker_that_is_away(submit, sim_account, settings, tmp_path):
    with pytest.raises(CommandError, match="cannot be read: No such file") as raised:
        call_command("submit_batch", str(tmp_path / "none.csv"))
    assert raised.value.returncode == 2
    settings.ALPACA_BASE_URL = "http://127.0.0.1:9"
    status, out, _ = submit(ONE, "--json")
    assert status == 2
    assert json.loads(out)["errors"][0]["line"] is None
    assert not Batch.objects.exists()


def test_a_date_and_time_without_a_zone_is_new_york(submit):
    assert submit(ONE, "--at", "2099-07-01T09:35")[0] == 0
    assert Batch.objects.get().scheduled_for == datetime(2099, 7, 1, 9, 35, tzinfo=NEW_YORK)
