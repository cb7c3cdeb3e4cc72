"""The help and the menu agree, for each person; and it can be read without a log-in's rights."""

import re

import pytest

from tests.factories import make_account
from ui.jumps import JUMPS


def hrefs(pattern, text):
    return set(re.findall(pattern, text))


@pytest.mark.parametrize("name", ["trader", "ops", "admin"])
def test_every_entry_of_the_menu_has_its_key(client, people, name):
    make_account("sim")
    client.force_login(getattr(people, name))
    text = client.get("/keyboard/").content.decode()
    menu = hrefs(r'class="nav-link" href="([^"]+)"', text)
    jumps = hrefs(r'<a href="([^"]+)" data-jump="\w"', text)
    assert menu <= jumps
    assert ("/admin/" in jumps) == (name == "admin")
    for path in jumps:
        assert client.get(path).status_code == 200


def test_no_two_pages_share_a_key():
    assert len({jump.key for jump in JUMPS}) == len(JUMPS)


def test_the_page_shows_the_keys_once_and_others_in_a_dialog(client, people):
    make_account("sim")
    client.force_login(people.trader)
    assert 'id="keyboard-help"' not in client.get("/keyboard/").content.decode()
    text = client.get("/orders/").content.decode()
    assert text.count("data-keys-switch") == 1
    assert 'id="keyboard-help"' in text


def test_the_icon_that_browsers_ask_for_is_there_without_a_log_in(client):
    answer = client.get("/favicon.ico")
    assert answer.status_code == 302
    assert answer["Location"].endswith("ui/favicon.svg")
