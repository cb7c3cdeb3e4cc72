"""A second factor in a real browser whose authenticator is Chromium's virtual one: set up, used, and asked for."""

import time

import pytest
from allauth.mfa.models import Authenticator
from playwright.sync_api import expect

from audit.models import AuditEntry
from reconciliation.models import Fix
from tests.conftest import PASSWORD
from tests.factories import make_account
from tests.reconciliation.rows import make_cause, make_run
from tests.signin.codes import code_for
from tests.tradingsite.browsing import CHROMIUM
from tests.tradingsite.test_panels_browser import look

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(CHROMIUM is None, reason="no system Chromium"),
]
BOARD = "/reconciliation/"
KEY = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture
def fix(people, settings):
    settings.REQUIRE_SECOND_FACTOR = True
    return make_cause(make_run(make_account()), "QCOM")


class Device:
    """The browser's own authenticator. While it is out of reach, it answers nothing."""

    def __init__(self, reader):
        self.session = reader.context.new_cdp_session(reader.page)
        self.session.send("WebAuthn.enable")
        self.name = self.session.send("WebAuthn.addVirtualAuthenticator", {"options": KEY})["authenticatorId"]

    def is_owner_there(self, there):
        self.session.send("WebAuthn.setUserVerified", {"authenticatorId": self.name, "isUserVerified": there})

    def count(self):
        return len(self.session.send("WebAuthn.getCredentials", {"authenticatorId": self.name})["credentials"])


def give_password(page, name="ops"):
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()


def log_out(page):
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Username")).to_be_visible()


def set_up_codes(page):
    page.get_by_role("link", name="Set up an app for codes").click()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()
    secret = page.locator("code.mono").inner_text()
    picture = page.locator("img.qr-code")
    assert picture.evaluate("image => image.complete && image.naturalWidth > 100")
    return secret


def test_codes_and_a_passkey_from_setting_up_to_approving(reader, fix):
    person = reader()
    device, page = Device(person), person.open("/accounts/login/")
    findings: list[str] = []
    findings += look(person, "log-in")
    give_password(page)
    page.goto(f"{person.base}{BOARD}")
    expect(page.get_by_text("You only look for now")).to_be_visible()
    expect(page.locator(f"#backfill-{fix.pk}")).to_have_count(0)
    findings += look(person, "board of who only looks")
    page.get_by_role("link", name="Set one up").click()
    findings += look(person, "sign-in without any factor")

    secret = set_up_codes(page)
    findings += look(person, "setting up codes")
    page.get_by_label("Code that the app shows").fill("000000")
    page.get_by_role("button", name="Set it up").click()
    expect(page.get_by_role("alert")).to_contain_text("This code is not right")
    findings += look(person, "a wrong code")
    page.get_by_label("Code that the app shows").fill(code_for(secret, time.time() - 30))
    page.get_by_role("button", name="Set it up").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    expect(page.locator("ul.mono li")).to_have_count(10)
    findings += look(person, "recovery codes")

    page.goto(f"{person.base}/accounts/")
    page.get_by_role("link", name="Add a passkey").click()
    findings += look(person, "adding a passkey")
    page.get_by_label("Name").fill("My <b>desk</b>")
    page.get_by_label("without my password").check()
    page.get_by_role("button", name="Add it").click()
    expect(page.get_by_text("The passkey is added.")).to_be_visible()
    assert device.count() == 1
    page.get_by_role("link", name="Passkeys: 1").click()
    expect(page.get_by_role("link", name="Rename My <b>desk</b>")).to_be_visible()
    findings += look(person, "passkeys")

    log_out(page)
    give_password(page)
    findings += look(person, "the question for the second factor")
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("heading", level=1, name="Overview")).to_be_visible()
    page.goto(f"{person.base}{BOARD}")
    page.locator(f"#backfill-{fix.pk}").click()
    page.get_by_role("dialog").get_by_role("button", name="Backfill").click()
    expect(page.locator("#messages")).to_contain_text("Approved:")
    stored = Fix.objects.get(pk=fix.pk)
    assert (stored.state, stored.approved_by) == ("approved", "ops")
    assert findings == []


def test_a_passkey_alone_lets_in_where_it_was_going_and_proves_both(reader, fix):
    person = reader()
    device, page = Device(person), person.open("/accounts/login/")
    give_password(page, "admin")
    page.goto(f"{person.base}/admin/")  # leads to where one is set up
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()
    page.get_by_label("without my password").check()
    page.get_by_role("button", name="Add it").click()
    expect(page.locator("ul.mono li")).to_have_count(10)
    log_out(page)

    page.goto(f"{person.base}/admin/auth/user/")
    device.is_owner_there(False)
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.locator("#passkey-problem")).to_contain_text("No passkey was given")
    assert list(look(person, "no passkey was given")) == []
    device.is_owner_there(True)
    page.get_by_role("button", name="Use a passkey").click()
    expect(page).to_have_url(f"{person.base}/admin/auth/user/")
    expect(page.locator("#result_list")).to_contain_text("trader")
    said = AuditEntry.objects.filter(action="person.logged_in", actor="admin").order_by("-pk")[0].summary
    assert said.startswith("Logged in with a second factor")


def test_who_holds_no_proof_any_more_is_asked_on_the_way(reader, fix):
    """The page was drawn with its button; then the session lost its proof. The click leads to the question and back."""
    person = reader()
    device, page = Device(person), person.open("/accounts/login/")
    give_password(page)
    page.goto(f"{person.base}/accounts/passkeys/add/")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="Add it").click()
    expect(page.locator("ul.mono li")).to_have_count(10)
    page.goto(f"{person.base}{BOARD}")
    page.locator(f"#backfill-{fix.pk}").click()
    forget_proofs(person)
    page.get_by_role("dialog").get_by_role("button", name="Backfill").click()
    expect(page.get_by_text("This needs your second factor.")).to_be_visible()
    assert list(look(person, "is it you")) == []
    assert Fix.objects.get(pk=fix.pk).state == "proposed"
    page.get_by_role("button", name="Use a passkey").click()
    expect(page).to_have_url(f"{person.base}{BOARD}")
    page.locator(f"#backfill-{fix.pk}").click()
    page.get_by_role("dialog").get_by_role("button", name="Backfill").click()
    expect(page.locator("#messages")).to_contain_text("Approved:")
    assert device.count() == 1
    assert Authenticator.objects.get(type="webauthn").last_used_at is not None


def forget_proofs(person):
    from django.contrib.sessions.backends.db import SessionStore

    key = next(cookie["value"] for cookie in person.context.cookies() if cookie["name"] == "trading_session")
    session = SessionStore(key)
    session["account_authentication_methods"] = []
    session.save()
