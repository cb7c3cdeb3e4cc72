"""Addresses come from the environment or a file, and are never shown."""

import os
import subprocess
import sys

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from alerts.addresses import Addresses, BadAddresses, parse, read


def test_entries_are_separated_by_spaces_or_lines():
    text = "# the desk\ndesk=slack://a/b/c?x=y  mail=mailto://u:p@example.com\n\nhook=json://h/?a=b=c\n"
    assert dict(parse(text)) == {
        "desk": "slack://a/b/c?x=y", "mail": "mailto://u:p@example.com", "hook": "json://h/?a=b=c"
    }  # fmt: skip
    assert dict(parse("")) == {}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("slack://tok-en/b", "entry 1"),
        ("desk=tok-en", "entry 1"),
        ("Desk=json://tok-en", "name of entry 1"),
        ("desk=json://tok-en desk=json://b", "desk stands there twice"),
        ("desk=json://tok-en/a b", "the address of desk"),
    ],
)
def test_nonsense_is_refused_by_its_place_and_never_repeated(text, says):
    with pytest.raises(BadAddresses) as refusal:
        parse(text)
    assert says in str(refusal.value)
    assert "tok-en" not in str(refusal.value)


def test_a_file_beside_the_variable(tmp_path):
    kept = tmp_path / "channels"
    kept.write_text("mail=mailto://u:p@example.com\n")
    assert set(read("desk=json://h/", str(kept))) == {"desk", "mail"}
    with pytest.raises(BadAddresses, match="variable and in the file"):
        read("mail=json://h/", str(kept))
    with pytest.raises(BadAddresses, match="cannot be read"):
        read("", str(tmp_path / "none"))


SECRET = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGH0123456789-_", min_size=6, max_size=30)


@given(SECRET, SECRET, SECRET)
def test_no_part_of_an_address_is_shown(user, password, token):
    addresses = Addresses({"desk": f"jsons://{user}:{password}@{token}.example.com/{token}/x?key={password}"})
    text = addresses.redact(f"Could not POST https://{token}.example.com/{token}/x as {user}, {password!r}")
    assert not any(secret in text for secret in (user, password, token))
    assert password not in repr(addresses)
    assert password not in str(addresses)


def test_a_command_refuses_nonsense_without_showing_it(tmp_path):
    environment = {**os.environ, "DATA_DIR": str(tmp_path), "ALERT_CHANNELS": "desk=hunter2-token"}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    done = subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "ALERT_CHANNELS cannot be used: entry 1" in done.stderr
    assert "hunter2" not in done.stdout + done.stderr
