"""An installation with one row of everything that an address can be about."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import patch
from uuid import uuid4

from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.test import override_settings
from django.utils import timezone
from django_q.models import Failure, OrmQ, Schedule, Success

from audit import journal
from bookmarks.models import SavedLink
from broker.errors import BrokerUnavailable
from broker.models import Account
from orders.models import Order, OrderEvent
from positions.models import Adjustment, Crossing, ParameterChange, Position
from positions.parameters import change_parameters
from reconciliation.models import BackfillPolicy, IgnoreRule, ReadingCursor
from reconciliation.operations import Undo
from tests.conftest import PASSWORD
from tests.factories import make_account, make_batch, make_fill, make_order
from tests.reconciliation.rows import make_drift, make_fix, make_run
from tradingsite.people import ADMIN, BROKER, OPS, TRADER, ensure_person
from work.models import Heartbeat

#: Nothing answers there: a page that asks Alpaca says so, and no order can leave.
NOBODY = "http://127.0.0.1:9"
PERSONS = ("anonymous", "trader", "ops", "broker", "admin")


class World:
    """`values`: what stands in an address for `batch_id`, `fix_id` …; `objects`: one row of each model."""

    def __init__(self) -> None:
        self.account = make_account()
        self.people: dict[str, User] = {name: ensure_person(username=name, group=name) for name in (TRADER, OPS, ADMIN)}
        # Whoever may act at Alpaca: one of ops who was put into the group for it by name.
        ensure_person(username="broker", group=OPS)
        self.people["broker"] = ensure_person(username="broker", group=BROKER)
        for person in self.people.values():
            person.set_password(PASSWORD)  # for the pages that ask for it once more
            person.save()
        self.objects: dict[type, Any] = {}
        self._orders()
        self._reconciliation()
        self._others()
        self.values = {
            "batch_id": self.batch.pk,
            "order_id": self.order.pk,
            "position_id": self.position.pk,
            "crossing_id": self.crossing.pk,
            "drift_id": self.drift.pk,
            "run_id": self.run.pk,
            "fix_id": self.fix.pk,
            "entry_id": self.entry.pk,
            "link_id": self.link.pk,
            "failure_id": self.failure.pk,
            "account_id": self.account.pk,
            "content_type_id": 1,
            "user_id": self.people[TRADER].pk,
            "pk": 1,  # a passkey; nobody has one
            "app_label": "orders",
            "url": "nosuch/",
        }
        self.tomorrow = (timezone.localtime() + timedelta(days=1)).date().isoformat()
        self.content_type_of_orders = ContentType.objects.get_for_model(Order).pk
        self._rows_of_later_apps()

    def object_of(self, app: str, model: str) -> Any:
        found = apps.get_model(app, model)
        return self.objects.get(found) or found._default_manager.first()

    def missing(self) -> list[str]:
        """The models of the admin of which there is no row: then their pages would be asked for nothing."""
        return [model._meta.label for model in admin.site._registry if self._row(model) is None]

    def _row(self, model: Any) -> Any:
        return self.objects.get(model) or model._default_manager.first()

    def _orders(self) -> None:
        now = timezone.now()
        self.batch = make_batch(self.account, state="scheduled", scheduled_for=now + timedelta(hours=9), created_at=now)
        self.order = make_order(self.account, batch=self.batch, submission_state="recorded")
        self.fill = make_fill(account=self.account)
        OrderEvent.objects.create(order=self.order, at=now, kind="recorded", actor="ops")
        self.position = Position.objects.create(
            account=self.account, symbol="QCOM", sequence=1, state="open", side="long", qty="10", entry_qty="10",
            realized_pl="0", avg_entry_price="100", cost_basis="1000", stop_loss="92", target="116", rebuilt_at=now,
        )  # fmt: skip
        self.crossing = Crossing.objects.create(
            account=self.account, position=self.position, level="stop", level_price="92", price="91", crossed_at=now
        )
        Adjustment.objects.create(
            account=self.account, symbol="IBM", kind="opening", qty="1", price="1", effective_at=now, reference="x",
            reason="Held", recorded_at=now, recorded_by="ops",
        )  # fmt: skip
        for pct in ("7", "8"):
            change_parameters(
                account=self.account, symbol="QCOM", stop_loss_pct=Decimal(pct), target_pct=Decimal(16),
                actor="admin", now=now, apply_to_open=False,
            )  # fmt: skip

    def _reconciliation(self) -> None:
        now = timezone.now()
        self.run = make_run(self.account)
        self.fix = make_fix(self.run, "QCOM")
        self.drift = make_drift(self.run, "QCOM", fix=self.fix)
        self.broker_fix = make_fix(
            self.run, "NVDA", key="naked:NVDA", action="place_stop", is_safe_copy=False, acts_at_broker=True
        )
        make_drift(self.run, "NVDA", key="naked:NVDA", kind="naked_position", group="protection", fix=self.broker_fix)
        self.sent_fix = make_fix(
            self.run, "AMD", key="naked:AMD", action="place_stop", is_safe_copy=False, acts_at_broker=True,
            state="verified", applied_at=now,
            undo_plan={"at_broker": {"orders": [make_order(self.account).pk], "changes": []}},
        )  # fmt: skip
        way_back = Undo()
        way_back.note_positions_before(self.account, ["IBM"])
        way_back.note_positions_after(self.account, ["IBM"])
        self.done_fix = make_fix(
            self.run, "IBM", state="verified", applied_at=now, approved_by="ops", approved_at=now,
            undo_plan=way_back.as_plan(),
        )  # fmt: skip
        other = {"account_id": "other", "account_number": "PA2"}
        self.wrong_account = make_drift(
            self.run, "", key="wrong_account", kind="wrong_account", group="evidence", severity="critical", broker=other
        )
        self.ignored = make_drift(
            self.run, "AMD", key="dust:AMD", kind="position_dust", state="ignored", ignored_by="ops"
        )
        BackfillPolicy.objects.create(account=self.account, kind="", mode="propose", updated_at=now, updated_by="admin")
        IgnoreRule.objects.create(
            account=self.account, kind="position_dust", symbol="IBM", reason="Small", owner="admin", created_at=now,
            expires_at=now + timedelta(days=3),
        )  # fmt: skip
        ReadingCursor.objects.get_or_create(account=self.account)

    def _others(self) -> None:
        now = timezone.now()
        self.entry = journal.record(at=now, actor="ops", action="fix.applied", summary="x", subject_type="fix")
        self.link = SavedLink.objects.create(
            user=self.people[TRADER], path="/orders/", query="status=new", name="Working", created_at=now
        )
        for model in (Success, Failure):
            self.failure = model.objects.create(
                id=uuid4().hex, name=model.__name__, func="orders.tasks.settle_task", started=now, stopped=now,
                success=model is Success,
            )  # fmt: skip
            self.objects[model] = self.failure
        for name in ("ticker", "worker"):  # alive as long as a test takes
            Heartbeat.objects.create(name=name, at=now + timedelta(hours=1), holder="host:1:2")
        OrmQ.objects.create(key="trading", payload="x", lock=now)
        Schedule.objects.create(name="x", func="orders.tasks.settle_task")

    def _rows_of_later_apps(self) -> None:
        now = timezone.now()
        channel = apps.get_model("alerts", "Channel").objects.create(name="ops", created_at=now)
        report = apps.get_model("alerts", "DailyReport").objects.create(
            account=self.account, day=now.date(), made_at=now, facts={}, markdown="# Day", html="<p>Day</p>"
        )
        self.values |= {"channel_id": channel.pk, "report_id": report.pk}


@contextmanager
def world() -> Iterator[World]:
    """Make it for as long as it is needed, and leave nothing behind."""
    keys = {"ALPACA_API_KEY": "sim", "ALPACA_SECRET_KEY": "sim"}
    unread = patch("orders.batch_views.check_batch", side_effect=BrokerUnavailable("Nothing answers."))
    with override_settings(ALPACA_ENV="sim", ALPACA_BASE_URL=NOBODY, **keys), unread, transaction.atomic():
        yield World()
        transaction.set_rollback(True)


__all__ = ["NOBODY", "PERSONS", "Account", "ParameterChange", "World", "world"]
