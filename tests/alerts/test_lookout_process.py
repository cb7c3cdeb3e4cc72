"""Real processes: whoever dies is told of by the other one, by a real channel that got the message."""

import signal
from datetime import timedelta

import pytest
from django.utils import timezone

from tests.alerts.receivers import Webhook, webhook
from tests.tradingsite.installation import Installation

WITHIN = 60


@pytest.fixture
def world(tmp_path, sim):
    with webhook() as hook:
        channels = {"ALERT_CHANNELS": f"desk={hook.address('secret-path-7')}", "SITE_URL": "https://trading.test"}
        installation = Installation(tmp_path / "data", **sim.environment, **channels)
        installation.set_up()
        try:
            yield installation, hook
        finally:
            installation.clean_up()


def wait_told(installation: Installation, hook: Webhook, words: str) -> str:
    def told() -> str | None:
        return next((m["message"] for m in hook.got if words in m["title"] + m["message"]), None)

    return installation.wait_for(told, within=WITHIN, what=f"a message with {words!r}")


def is_quiet_since_minutes(installation: Installation, table: str, column: str, where: str) -> None:
    """Let the last sign of life be two minutes old: nobody waits that long in a test."""
    old = timezone.now() - timedelta(minutes=2)
    installation.query(f"UPDATE {table} SET {column} = ? WHERE {where}", old.replace(tzinfo=None).isoformat(" "))


def test_a_dead_worker_is_told_by_the_stream_and_a_dead_stream_by_the_worker(world):
    installation, hook = world
    stream, worker = installation.start("stream"), installation.start("worker")
    installation.wait_for_text("stream: following", within=WITHIN)
    beats = "SELECT name FROM work_heartbeat WHERE name LIKE 'ticker%'"
    installation.wait_for(lambda: installation.query(beats), within=WITHIN, what="the ticker")
    for process in installation.processes():
        if process.pid != stream.pid:
            process.send_signal(signal.SIGKILL)
    worker.wait()
    is_quiet_since_minutes(installation, "work_heartbeat", "at", "name LIKE 'ticker%'")
    message = wait_told(installation, hook, "No worker gives a sign of life")
    assert message.endswith("https://trading.test/system/")

    sent = "SELECT id FROM alerts_delivery WHERE state = 'sent'"
    installation.wait_for(lambda: installation.query(sent), within=WITHIN, what="the note of its outcome")
    stream.kill()
    stream.wait()
    is_quiet_since_minutes(installation, "broker_streamstate", "updated_at", "1 = 1")
    installation.start("worker")
    message = wait_told(installation, hook, "The stream of trade updates is down")
    assert "its follower gives no sign of life" in message
    assert [message["title"] for message in hook.got] == ["Worker down (critical)", "[sim] Stream down (high)"]
    assert "secret-path-7" not in installation.printed()
