"""The production set-up, run: https by nginx before our web process, with the settings that docs/deploy.md gives."""

import re
import secrets
import socket
import ssl
from collections.abc import Iterator
from http.client import HTTPResponse, HTTPSConnection
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.deploy.front import NAME, Front, listens, nginx
from tests.tradingsite.installation import ROOT, Installation
from tests.tradingsite.stores import free_port

PASSWORD = "correct horse battery 7"
PEOPLE = f"""
from tradingsite.people import ADMIN, OPS, ensure_groups, ensure_person
ensure_groups()
ensure_person(username="ops", group=OPS, password={PASSWORD!r})
"""


def documented_settings() -> dict[str, str]:
    """What the example of the environment file sets, with what it leaves to the reader."""
    text = (ROOT / "deploy" / "tradingsite.env.example").read_text()
    given = dict(re.findall(r"^([A-Z_]+)=(.*)$", text, re.MULTILINE))
    return given | {"SECRET_KEY": secrets.token_urlsafe(60), "ALPACA_ENV": "sim", "ALLOWED_HOSTS": NAME}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Installation, Front]]:
    folder = tmp_path_factory.mktemp("deploy")
    settings = {name: value for name, value in documented_settings().items() if name != "DATA_DIR"}
    made = Installation(folder / "data", **settings)
    made.set_up()
    assert made.run("shell", "-v", "0", "-c", PEOPLE).returncode == 0
    port = free_port()
    try:
        made.start("web", "--port", str(port))
        made.wait_for(lambda: listens(port), within=30, what="the web process")
        with nginx(folder / "nginx", web_port=port) as front:
            yield made, front
    finally:
        made.clean_up()


class Visitor:
    """A browser's part: it checks the certificate, keeps cookies and sends them back over https."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self.cookies: dict[str, str] = {}
        self.set_cookies: list[str] = []

    def ask(self, method: str, path: str, body: str = "", **headers: str) -> tuple[HTTPResponse, str]:
        context = ssl.create_default_context(cafile=str(self._front.certificate))
        connection = _Pinned(NAME, self._front.https, context=context, timeout=30)
        sent = {"Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items()), **headers}
        if body:
            sent.setdefault("Content-Type", "application/x-www-form-urlencoded")
        connection.request(method, path, body=body or None, headers=sent)
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
        connection.close()
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            self.set_cookies.append(cookie)
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer, text

    def log_in(self, **headers: str) -> HTTPResponse:
        _, page = self.ask("GET", "/accounts/login/")
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert token, page
        form = {"username": "ops", "password": PASSWORD, "csrfmiddlewaretoken": token[1]}
        return self.ask("POST", "/accounts/login/", urlencode(form), Referer=f"https://{NAME}/accounts/login/",
                        Origin=f"https://{NAME}", **headers)[0]  # fmt: skip


class _Pinned(HTTPSConnection):
    """Connects to loopback under the name that the certificate is for."""

    def connect(self) -> None:
        plain = socket.create_connection(("127.0.0.1", self.port), self.timeout)
        context = self._context  # type: ignore[attr-defined]
        self.sock = context.wrap_socket(plain, server_hostname=self.host)


@pytest.fixture
def visitor(site: tuple[Installation, Front]) -> Visitor:
    return Visitor(site[1])


def test_plain_http_is_led_to_https(site: tuple[Installation, Front]) -> None:
    with socket.create_connection(("127.0.0.1", site[1].http)) as plain:
        plain.sendall(f"GET /orders/?x=1 HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode())
        answer = plain.makefile().read()
    assert answer.startswith("HTTP/1.1 308")
    assert f"Location: https://{NAME}/orders/?x=1" in answer


def test_a_person_logs_in_and_reads_pages(visitor: Visitor) -> None:
    answer = visitor.log_in()
    assert answer.status == 302, answer.headers
    page, text = visitor.ask("GET", "/")
    assert page.status == 200
    assert "Overview" in text
    for cookie in visitor.set_cookies:
        assert "Secure" in cookie, cookie
        assert "SameSite=Lax" in cookie, cookie
    assert any("trading_session" in cookie and "HttpOnly" in cookie for cookie in visitor.set_cookies)


def test_static_files_come_through_and_may_be_kept(visitor: Visitor) -> None:
    _, page = visitor.ask("GET", "/accounts/login/")
    (sheet, *_more) = re.findall(r'href="(/static/[^"]+\.css)"', page)
    answer, _ = visitor.ask("GET", sheet)
    assert answer.status == 200
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/accounts/login/", "/healthz", "/nowhere/", "/admin/"])
def test_every_answer_carries_each_header_once(visitor: Visitor, path: str) -> None:
    headers = visitor.ask("GET", path)[0].headers
    expected = {
        "Strict-Transport-Security": "max-age=31536000; includeSubDomains; preload",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Frame-Options": "DENY",
    }
    for name, value in expected.items():
        assert headers.get_all(name) == [value], name
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert "camera=()" in headers["Permissions-Policy"]
    assert "nginx/" not in headers["Server"], "no version for strangers"


def test_what_a_client_says_of_its_address_is_not_believed(site: tuple[Installation, Front]) -> None:
    visitor = Visitor(site[1])
    visitor.log_in(**{"X-Forwarded-For": "203.0.113.9"})
    (entry,) = site[0].query(
        "SELECT summary, reason, after FROM audit_auditentry WHERE action LIKE '%log%' ORDER BY id DESC LIMIT 1"
    )
    assert "203.0.113.9" not in str(entry)
    addresses = site[0].query("SELECT ip_address FROM axes_accesslog ORDER BY id DESC LIMIT 1")
    assert addresses in ([], [("127.0.0.1",)])


def test_a_huge_upload_ends_at_the_door(visitor: Visitor) -> None:
    answer, _ = visitor.ask("POST", "/batches/new/", "x" * (4 * 1024 * 1024))
    assert answer.status == 413


def test_a_name_that_is_not_ours_is_refused(visitor: Visitor) -> None:
    answer, _ = visitor.ask("GET", "/accounts/login/", Host="evil.example")
    assert answer.status == 400


def test_the_numbers_are_for_this_host(visitor: Visitor) -> None:
    answer, text = visitor.ask("GET", "/metrics")
    assert (answer.status, "tradingsite_queue_depth" in text) == (200, True)


def test_the_documented_settings_pass_djangos_own_check(site: tuple[Installation, Front], tmp_path: Path) -> None:
    done = site[0].run("check", "--deploy", "--fail-level", "WARNING")
    assert done.returncode == 0, done.stderr
