"""The nightly backup is made once, however often it is delivered; a journal that was changed fails its task."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from tests.audit.breaking import make_entries, tamper
from upkeep import tasks
from upkeep.backing_up import newest_backup_at


@pytest.mark.django_db(transaction=True)
def test_it_is_made_once_a_night(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.BACKUP_DIR = tmp_path
    file = Path(tasks.nightly_backup())
    assert file.exists()
    assert abs(timezone.now() - (newest_backup_at(tmp_path) or timezone.now())) < timedelta(minutes=1)
    assert tasks.nightly_backup() == "made already"
    tomorrow = timezone.now() + timedelta(days=1)
    monkeypatch.setattr("upkeep.tasks.timezone.now", lambda: tomorrow)
    assert Path(tasks.nightly_backup()) != file
    assert len(list(tmp_path.glob("backup-*.zip"))) == 2


@pytest.mark.django_db(transaction=True)
def test_a_changed_journal_fails_the_night(caplog: pytest.LogCaptureFixture) -> None:
    entries = make_entries(6)
    assert tasks.nightly_proof().startswith("6 entries proven, head ")
    tamper(("UPDATE audit_auditentry SET actor = 'nobody' WHERE id = %s", [entries[3].pk]))
    with pytest.raises(tasks.JournalBrokenError, match="verify_audit"):
        tasks.nightly_proof()
    assert "audit journal BROKEN" in caplog.text
