"""What a story is played on: the venue, the product's own commands and pages, and a voice that tells it."""

import html
import io
import json
import re
import secrets
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from broker.models import Account
from gameday.story import NotSurvived, Outcome, Story
from gameday.venue import Venue
from orders.following import look
from orders.lifecycle import IN_FLIGHT
from orders.models import Fill, Order
from orders.settling import settle_orders
from positions.models import Adjustment, Position
from reconciliation.models import Fix
from tradingsite.people import BROKER, ensure_person

PERSON = "ops"
BROKER_PERSON = "gameday"
#: A guard asks for a reason where few positions are held and one of them changes.
REASON = "Played in a gameday: the simulator holds exactly this."
TRIES = 60
#: A run that could not judge is made again, and a repair that lapsed is looked at anew, for so long.
AGAIN_SECONDS = 30.0
#: Repairs that were not made because something moved between the look and the approval.
MOVED = {"proposed", "stale"}


class Pages(Protocol):
    """Somebody of the group ops who is logged in."""

    def read(self, path: str) -> str:
        """Return the page's text; raise if it does not answer 200."""


@dataclass
class Stage:
    account: Account
    venue: Venue
    pages: Pages
    tell: Callable[[str], None]
    symbol: str = ""  # of a company of this story alone
    figures: dict[str, str] = field(default_factory=dict)
    order: dict[str, Any] = field(default_factory=dict)  # the order that the story is about, as Alpaca showed it
    notes: dict[str, Any] = field(default_factory=dict)

    # Telling

    def broker(self, text: str) -> None:
        self.tell(f"  broker    {text}")

    def software(self, text: str) -> None:
        self.tell(f"  software  {text}")

    def repaired(self, text: str) -> None:
        self.tell(f"  repaired  {text}")

    def demand(self, holds: object, what: str) -> None:
        if not holds:
            raise NotSurvived(what)

    def figure(self, name: str, value: object) -> None:
        self.figures[name] = str(value)

    # The product's commands

    def command(self, name: str, *arguments: str) -> tuple[int, Any]:
        """Run one of manage.py's with --json; return its exit status and its document."""
        out, status = io.StringIO(), 0
        with redirect_stdout(out), redirect_stderr(io.StringIO()):
            try:
                call_command(name, *arguments, "--json", stdout=out)
            except SystemExit as end:
                status = int(end.code or 0)
            except CommandError as error:
                return error.returncode, {"error": str(error)}
        text = out.getvalue().strip()
        return status, json.loads(text) if text else None

    def reconcile(self, *arguments: str) -> dict[str, Any]:
        """One run, and its verdict told with the sentences of what it found."""
        _, run = self.command("reconcile", *arguments)
        self.software(f"run {run['run']}: {run['state']}, {run['api_calls']} calls to Alpaca")
        if run["incomplete_reason"]:
            self.software(f"says: {run['incomplete_reason']}")
        for drift in run["drifts"]:
            if drift["group"] != "evidence" or not run["incomplete_reason"]:
                sign = "└ " if drift["cause_id"] else ""
                self.software(f"{sign}{drift['kind']}: {drift['sentence']}")
        return dict(run)

    def judge(self) -> dict[str, Any]:
        """A run that comes to a verdict: one that met an account on the move proves nothing, and is made again."""
        deadline = time.monotonic() + AGAIN_SECONDS
        while (run := self.reconcile())["state"] == "incomplete" and time.monotonic() < deadline:
            time.sleep(0.1)
        self.demand(run["state"] != "incomplete", f"no run comes to a verdict: {run['incomplete_reason']}")
        return run

    def backfill(self) -> None:
        """A person approves everything that is proposed; it is applied and verified.

        The worker and the stream go on meanwhile: what moved since it was shown is void, and is looked at anew.
        """
        deadline, done = time.monotonic() + AGAIN_SECONDS, 0
        while True:
            fixes = self._approve_all()
            done += sum(fix["state"] not in MOVED for fix in fixes)
            moved = [fix for fix in fixes if fix["symbol"] == self.symbol and fix["state"] in MOVED]
            if not moved or time.monotonic() > deadline:
                break
            self.reconcile()
        self.figure("fixes", done)

    def _approve_all(self) -> list[dict[str, Any]]:
        _, document = self.command("backfill", "--all", "--as", PERSON, "--override-guard", REASON)
        self.demand("fixes" in (document or {}), f"the backfill was refused: {document}")
        for fix in document["fixes"]:
            self.repaired(f"{fix['title']}: {fix['state']}. {fix['outcome'] or ''}".rstrip())
        return list(document["fixes"])

    def approve(self, fix: Fix, *, by: str) -> tuple[int, Any]:
        """One fix by its id; return the exit status of the command and what it printed."""
        return self.command("backfill", "--fix", str(fix.pk), "--as", by, "--override-guard", REASON)

    @contextmanager
    def broker_person(self) -> Iterator[str]:
        """Somebody who may approve what acts at Alpaca, for as long as the story needs."""
        person = ensure_person(username=BROKER_PERSON, group=BROKER)
        mine = User.objects.filter(pk=person.pk)
        mine.update(is_active=True)
        try:
            yield person.username
        finally:
            mine.update(is_active=False)  # the name stays: the journal bears it

    def submit(self, *lines: dict[str, str]) -> tuple[int, list[Order]]:
        """Send a batch as a trader's program does; return the exit status and the orders."""
        known = set(Order.objects.values_list("pk", flat=True))
        with TemporaryDirectory() as folder:
            path = Path(folder) / "gameday.json"
            path.write_text(json.dumps({"orders": list(lines)}))
            status, document = self.command("submit_batch", str(path))
        self.demand(status != 2, f"the batch was not taken: {document}")
        return status, list(Order.objects.filter(account=self.account).exclude(pk__in=known).order_by("pk"))

    def buy(self, qty: str, *, wait: str = "filled", **fields: str) -> Order:
        """An order of ours that is in the books as it is at Alpaca: there, an order is `new` only after a moment."""
        status, orders = self.submit({"symbol": self.symbol, "side": "buy", "qty": qty, **fields})
        self.demand(status == 0 and bool(orders), f"the order for {qty} {self.symbol} was not accepted")
        return self.follow(orders[0], wait)

    def follow(self, order: Order, status: str) -> Order:
        """Let the ordinary bookkeeping look until the order has the status and its fills are booked."""
        for _ in range(TRIES):
            order.refresh_from_db()
            if order.status == status and (order.is_booked or status != "filled"):
                return order
            look(account=self.account, orders=[order], now=timezone.now())
            time.sleep(0.05)
        raise NotSurvived(f"{order} never became {status} in the books; it is {order.status!r}.")

    def settle(self, order: Order) -> Order:
        """Let the look-ups settle a submit whose outcome is not known."""
        for _ in range(TRIES * 4):
            settle_orders(account_id=self.account.pk, now=timezone.now())
            order.refresh_from_db()
            if order.submission_state == "confirmed":
                return order
            if order.submission_state not in IN_FLIGHT:
                break  # it was judged, and no look-up comes any more
            time.sleep(0.25)
        raise NotSurvived(f"{order} is {order.submission_state}, and was not found.")

    def another_company(self) -> str:
        """Bring one more company to the market for this story, and return its symbol."""
        symbol = f"H{self.symbol[1:]}"
        self.venue.list_company(symbol, f"Another of {self.symbol}")
        return symbol

    # What the books say

    def held(self) -> Decimal:
        position = Position.objects.filter(account=self.account, symbol=self.symbol).open().first()
        return position.qty if position else Decimal(0)

    def booked(self, order: Order) -> Decimal:
        """What the fills of an order in the books add up to."""
        return sum(Fill.objects.filter(order=order).values_list("qty", flat=True), Decimal(0))

    def books(self) -> dict[str, Any]:
        """Every line of the record about the story's companies: two that are equal could not be told apart."""
        mine = {"account": self.account, "symbol__in": (self.symbol, f"H{self.symbol[1:]}")}
        skipped = {"rebuilt_at", "last_price", "last_price_at"}
        names = [f.attname for f in Position._meta.concrete_fields if f.attname not in skipped]
        terms = ("pk", "status", "filled_qty", "replaced_by")
        return {
            "orders": list(Order.objects.filter(**mine).order_by("pk").values(*terms)),
            "fills": list(Fill.objects.filter(**mine).order_by("pk").values("activity_id", "qty", "price")),
            "adjustments": list(Adjustment.objects.filter(**mine).order_by("pk").values("qty", "price")),
            "positions": list(Position.objects.filter(**mine).order_by("symbol", "sequence").values(*names)),
        }

    def proposed(self) -> int:
        return Fix.objects.filter(account=self.account, symbol=self.symbol).proposed().count()

    def roots(self, run: dict[str, Any]) -> list[str]:
        """The kinds of the root causes that a run found in the company's shares."""
        return sorted(d["kind"] for d in run["drifts"] if d["symbol"] == self.symbol and d["cause_id"] is None)

    def shows(self, path: str, *texts: str) -> None:
        """Demand that a page of the product says it."""
        page = self.pages.read(path)
        for text in texts:
            self.demand(text in page, f"the page {path} does not say {text!r}")
        self.software(f"shows it on {path}")

    def row(self, path: str, row_id: str) -> str:
        """The text of the table row on a page that has an element of that id, its words one space apart."""
        found = [row for row in self.pages.read(path).split("<tr")[1:] if f'id="{row_id}"' in row]
        self.demand(len(found) == 1, f"the page {path} has {len(found)} rows about {row_id}")
        text = re.sub(r"<[^>]*>", " ", found[0].partition(">")[2].partition("</tr>")[0])
        return " ".join(html.unescape(text).split())

    def is_sound(self) -> None:
        """Demand that a run finds nothing in the company's shares any more, and that both sides hold as much."""
        run = self.judge()
        left = [drift["sentence"] for drift in run["drifts"] if drift["symbol"] == self.symbol]
        self.demand(not left, f"this is left: {left}")
        ours, theirs = self.held(), Decimal(self.venue.held(self.symbol))
        self.demand(ours == theirs, f"the books hold {ours} {self.symbol}, Alpaca holds {theirs}")
        self.figure("position", f"{ours.normalize():f} on both sides")
        self.figure("calls of the last run", run["api_calls"])


def play(story: Story, stage: Stage) -> Outcome:
    """Play one story; its faults are healed whatever happens."""
    stage.figures, stage.notes, stage.order = {}, {}, {}
    letters = "".join(secrets.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(3))
    stage.symbol = f"G{chr(64 + story.number)}{letters}"
    began, failure = time.monotonic(), ""
    try:
        with healed(stage):
            stage.venue.list_company(stage.symbol, f"Story {story.number}")
            story.arrange(stage)
            story.act(stage)
            story.expect(stage)
    except (NotSurvived, TimeoutError) as error:
        failure = str(error)
    except Exception as error:
        failure = f"{type(error).__name__}: {error}"
        for frame in traceback.extract_tb(error.__traceback__):
            stage.tell(f"  fault     {frame.filename}:{frame.lineno} in {frame.name}: {frame.line}")
    seconds = time.monotonic() - began
    return Outcome(story=story, survived=not failure, seconds=seconds, figures=dict(stage.figures), failure=failure)


@contextmanager
def healed(stage: Stage) -> Iterator[None]:
    try:
        yield
    finally:
        with suppress(Exception):
            stage.venue.heal()
