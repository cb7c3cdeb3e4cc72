"""The guide to the kinds: whole, true to the planners, the same in the document and on the page."""

from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from broker.models import Account
from reconciliation.kind_guide import ENTRIES, GROUPS, document, guides, kinds_repaired_at_broker, kinds_with_a_fix
from reconciliation.kinds import KINDS, Kind
from reconciliation.management.commands import drift_kinds
from tests.factories import make_account
from tests.reconciliation.rows import make_cause, make_run, page


def test_every_kind_has_an_entry_and_a_group() -> None:
    assert set(ENTRIES) == set(Kind) == set(KINDS)
    assert {facts.group for facts in KINDS.values()} == set(GROUPS)
    assert sum(len(found) for found in guides().values()) == len(Kind)


@pytest.mark.parametrize("kind", list(Kind))
def test_entry_says_everything(kind: Kind) -> None:
    entry = ENTRIES[kind]
    assert entry.detected
    assert entry.fix or entry.no_fix
    assert entry.verified
    assert entry.undone
    for text in (entry.detected, entry.fix, entry.no_fix, entry.verified, entry.undone):
        assert not text or text.endswith(".")


@pytest.mark.parametrize("kind", list(Kind))
def test_entry_claims_a_fix_where_a_planner_gives_one(kind: Kind) -> None:
    assert bool(ENTRIES[kind].fix) is (kind in kinds_with_a_fix())
    assert ENTRIES[kind].at_broker is (kind in kinds_repaired_at_broker())


def test_safe_copies_are_kinds_with_a_fix() -> None:
    assert {kind for kind, facts in KINDS.items() if facts.is_safe_copy} <= kinds_with_a_fix()


def test_document_is_not_stale() -> None:
    assert drift_kinds.path_of_document().read_text(encoding="utf-8") == document(), "run `manage.py drift_kinds`"


def test_command_notices_a_stale_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "drift-kinds.md"
    monkeypatch.setattr(drift_kinds, "path_of_document", lambda: path)
    with pytest.raises(CommandError, match="stale") as refused:
        call_command("drift_kinds", "--check")
    assert refused.value.returncode == 1
    call_command("drift_kinds", stdout=StringIO())
    call_command("drift_kinds", "--check", stdout=StringIO())
    assert path.read_text(encoding="utf-8") == document()


@pytest.mark.django_db
def test_page_has_every_kind_and_the_board_leads_to_it(client: Client, people: SimpleNamespace) -> None:
    account: Account = make_account(name="Simulator")
    make_cause(make_run(account), "QCOM")
    client.force_login(people.trader)
    text = page(client, reverse("reconciliation:kinds"))
    for kind in Kind:
        assert f'id="{kind.value}"' in text
    assert f"{reverse('reconciliation:kinds')}#our_order_unlinked" in page(client)
