import pytest
from django.test import Client

from tests.signin.codes import log_in, set_up_codes


@pytest.fixture
def required(settings):
    settings.REQUIRE_SECOND_FACTOR = True


@pytest.fixture
def codes(people):
    """`codes[name]` is the secret of a person who has set up an app."""
    found = {}
    for name in ("ops", "admin"):
        client = Client()
        log_in(client, name)
        found[name] = set_up_codes(client)
    return found
