"""Which money it is stands on the pages without a frame, too."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse


@pytest.mark.parametrize("environment", ["sim", "paper", "live"])
def test_log_in_and_admin_say_which_money_it_is(
    client: Client, people: SimpleNamespace, settings: Any, environment: str
) -> None:
    settings.ALPACA_ENV = environment
    assert f">{environment.upper()}<" in client.get(reverse("login")).content.decode()
    client.force_login(people.admin)
    assert f"Trading record admin · {environment.upper()}" in client.get(reverse("admin:index")).content.decode()
