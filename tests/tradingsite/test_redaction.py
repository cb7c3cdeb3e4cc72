"""No secret on stderr: not in messages, arguments, tracebacks, nor in whatever else a line carries."""

import io
import json
import logging
import string
import subprocess
import sys

import pytest
from django.http import QueryDict
from django.test import RequestFactory
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from alerts.addresses import parse
from tradingsite.log_output import CarefulHandler, JsonLines, text_lines
from tradingsite.redaction import redact
from work import correlation
from work.middleware import request_in_hand

#: As keys and passwords are made, and as people make them.
SECRETS = st.text(
    st.sampled_from(string.ascii_letters + string.digits + "+/=_-!$%&'\"\\ äß{}%"), min_size=8, max_size=40
)
SECRETS = SECRETS.map(str.strip).filter(lambda text: len(text) >= 8 and len(set(text)) > 4)


class Written:
    """A logger with our handler on a stream of its own, in both formats at once."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        self.log = logging.Logger("written")  # none that others see
        for formatter in (text_lines(), JsonLines()):
            handler = CarefulHandler()
            handler.setStream(self.stream)
            handler.setFormatter(formatter)
            self.log.addHandler(handler)

    def text(self) -> str:
        return self.stream.getvalue()


class Carrier(Exception):
    def __init__(self, secret: str) -> None:
        super().__init__(f"refused with {secret}")
        self.secret = secret


def _fail(secret: str, depth: int) -> None:
    if depth:
        try:
            _fail(secret, depth - 1)
        except Exception as error:
            raise RuntimeError({"again": secret, "because": [str(error)]}) from error
    raise Carrier(secret)


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(secret=SECRETS, depth=st.integers(0, 2))
def test_whatever_carries_a_known_secret_does_not_print_it(monkeypatch, secret, depth):
    monkeypatch.setenv("SWING_ALPACA_SECRET_KEY", secret)
    written = Written()
    written.log.warning("in the message: " + secret.replace("%", "%%"))
    written.log.warning("in an argument: %s, %r, %s", secret, secret, {"key": secret})
    written.log.warning("does not fit: %d %s", secret)  # noqa: PLE1206  # meant
    written.log.warning("besides", extra={"note": secret, "thing": Carrier(secret)}, stack_info=True)
    try:
        _fail(secret, depth)
    except Exception as error:
        written.log.exception("caught %s", error)
    text = written.text()
    assert text.count("[redacted]") >= 10
    for way in {secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], ascii(secret)[1:-1]}:
        assert way not in text


@pytest.mark.parametrize(
    "line",
    [
        "{'Authorization': 'Basic c2VjcmV0LXZhbHVl'}",
        "Authorization: Bearer c2VjcmV0LXZhbHVl",
        "authorization=token c2VjcmV0LXZhbHVl, next",
        '{"APCA-API-SECRET-KEY": "c2VjcmV0LXZhbHVl"}',
        "APCA-API-KEY-ID: c2VjcmV0LXZhbHVl",
        "password=c2VjcmV0LXZhbHVl&user=x",
        "{'password': 'c2VjcmV0LXZhbHVl'}",
        "Cookie: trading_session=c2VjcmV0LXZhbHVl; csrftoken=c2VjcmV0LXZhbHVl",
        "Cookie: sessionid=c2VjcmV0LXZhbHVl",
        "session_key: c2VjcmV0LXZhbHVl",
        "postgres://trading:c2VjcmV0LXZhbHVl@db7.example/trading",
        "redis://:c2VjcmV0LXZhbHVl@queue:6379/0",
        "connection to server failed: user=trading password=c2VjcmV0LXZhbHVl host=db7",
    ],
)
def test_what_looks_like_a_secret_is_left_out_without_being_known(line):
    assert "c2VjcmV0LXZhbHVl" not in redact(line)
    assert "[redacted]" in redact(line)


@pytest.mark.parametrize(
    "line",
    [
        "order 12 t-1-7-AAPL claimed, attempt 1",
        "run 3 of sim ended in_sync after 9 calls",
        "batch 7 recorded: 2 orders from morning.csv by trader",
        "http://127.0.0.1:8090/v2/orders answered 503",
    ],
)
def test_what_people_need_stays(line):
    assert redact(line) == line


def test_addresses_of_channels_passwords_of_databases_and_the_secret_key_are_known(settings, monkeypatch):
    settings.ALERT_CHANNELS = parse(
        "ops=tgram://110201543:AAHdqTcvCH1vGWJx/987654321 web=json://hooks.example/s3cr3tpath"
    )
    monkeypatch.setitem(settings.DATABASES["default"], "PASSWORD", "db-pass-99")
    monkeypatch.setenv("DATABASE_URL", "postgres://trading:url%2Fpass@db7.example/trading")
    text = redact("AAHdqTcvCH1vGWJx 987654321 s3cr3tpath db-pass-99 url/pass url%2Fpass " + settings.SECRET_KEY)
    assert set(text.split()) == {"[redacted]"}
    assert redact("hooks.example is not reached") == "hooks.example is not reached"


def test_what_the_request_at_hand_holds_in_confidence_is_known(rf: RequestFactory):
    request = rf.post("/accounts/login/", headers={"authorization": "Digest opaque-thing-1"})
    request.COOKIES["trading_session"] = "k3yofthesession"
    written = Written()
    token = request_in_hand.set(request)
    try:
        vars(request)["_post"] = QueryDict("username=ops&password=correct+horse&code=123456")
        with correlation.carrying("of-a-click"):
            written.log.error("Session k3yofthesession of ops failed: correct horse, 123456, opaque-thing-1")
    finally:
        request_in_hand.reset(token)
    for secret in ("k3yofthesession", "correct horse", "123456", "opaque-thing-1"):
        assert secret not in written.text()
    assert "of ops failed" in written.text()
    assert written.text().count("of-a-click") == 2


def test_a_line_of_json_is_one_line_with_these_fields():
    written = Written()
    written.log.handlers = written.log.handlers[1:]
    with correlation.carrying("of-a-click"):
        try:
            _fail("nothing", 1)
        except RuntimeError:
            written.log.exception("two\nlines")
    (line,) = written.text().splitlines()
    said = json.loads(line)
    assert set(said) == {"time", "level", "logger", "message", "correlation_id", "process", "thread", "traceback"}
    assert (said["level"], said["correlation_id"], said["message"]) == ("ERROR", "of-a-click", "two\nlines")
    assert said["time"].endswith("Z")


def test_other_handlers_get_the_record_as_it_was():
    written, seen = Written(), []

    class Other(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record)

    written.log.addHandler(Other())
    written.log.warning("password=%s", "hunter22")
    assert (seen[0].msg, seen[0].args) == ("password=%s", ("hunter22",))
    assert "hunter22" not in written.text()


UNCAUGHT = """
import threading, django
django.setup()
def fail(): raise ValueError("the key is PKUNCAUGHT77")
thread = threading.Thread(target=fail); thread.start(); thread.join()
fail()
"""


def test_nor_does_python_itself_print_it_when_nobody_catches(tmp_path):
    import os

    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings", "SWING_ALPACA_API_KEY": "PKUNCAUGHT77"}
    ended = subprocess.run(
        [sys.executable, "-c", UNCAUGHT], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert "PKUNCAUGHT77" not in ended.stderr
    assert ended.stderr.count("ValueError: the key is [redacted]") == 2
