"""Stories of answers that prove nothing: failed, empty, cut short, or too late."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db.models.signals import post_save

from gameday.patience import impatience
from gameday.stage import PERSON, Stage
from gameday.story import Story
from orders.models import Fill, Order
from reconciliation.models import Fix

#: How long a read that hangs is waited for here; it is tried again, as any read is.
SHORT_SECONDS = 0.5
#: What a page says of a run that could not read everything.
PROVES_NOTHING = "It proves nothing and changed nothing."


class FailedReadIsNotFlat(Story):
    number = 1
    title = "A failed read is not an empty account"
    harm = "An error or an empty list was believed, and positions that existed were written off or sold again."

    BLOWS: tuple[tuple[str, str, dict[str, Any], str], ...] = (
        ("status", "/v2/positions", {}, "answers 500 to every question for positions"),
        ("hang", "/v2/positions", {}, "does not answer a question for positions at all"),
        ("empty_list", "/v2/positions", {}, "answers that it holds nothing at all"),
        ("truncated_page", "/v2/positions", {}, "leaves half of the positions out"),
        ("truncated_body", "/v2/positions", {"close": True}, "hangs up in the middle of the list of positions"),
        ("empty_list", "/v2/orders", {}, "answers that there have never been orders"),
    )

    def arrange(self, stage: Stage) -> None:
        stage.buy("10")
        other = stage.another_company()
        _, orders = stage.submit({"symbol": other, "side": "buy", "qty": "5"})
        stage.follow(orders[0], "filled")
        stage.broker(f"holds 10 {stage.symbol} and 5 {other}, and so do the books")

    def act(self, stage: Stage) -> None:
        stage.notes["before"] = stage.books()
        stage.notes["fixes"] = Fix.objects.filter(account=stage.account).count()

    def expect(self, stage: Stage) -> None:
        for fault, path, options, words in self.BLOWS:
            stage.venue.fault(fault, "GET", f"^{path}$", **options)
            stage.broker(words)
            with impatience(SHORT_SECONDS if fault == "hang" else settings.BROKER_READ_TIMEOUT):
                self._is_not_believed(stage, stage.reconcile(), words)
            if fault == "truncated_page":
                self._was_half(stage)
            stage.venue.clear()
        stage.figure("bad answers not believed", f"{len(self.BLOWS)} of {len(self.BLOWS)}")
        stage.is_sound()

    def _is_not_believed(self, stage: Stage, run: dict[str, Any], words: str) -> None:
        stage.demand(run["state"] == "incomplete", f"a run believed a broker that {words}: {run['state']}")
        fixes = Fix.objects.filter(account=stage.account).count()
        stage.demand(fixes == stage.notes["fixes"], f"something was proposed on the word of a broker that {words}")
        stage.demand(stage.books() == stage.notes["before"], f"the books were changed by a broker that {words}")
        stage.shows(f"/reconciliation/runs/{run['run']}/", PROVES_NOTHING)

    def _was_half(self, stage: Stage) -> None:
        """What the runs were shown: some of the positions, not all, and not none."""
        shown = len(stage.venue.api("GET", "/v2/positions"))
        stage.venue.clear()
        held = len(stage.venue.api("GET", "/v2/positions"))
        stage.demand(0 < shown < held, f"{shown} of {held} positions were shown, which is no half")


class TruncatedHistoryTakesNothingBack(Story):
    number = 4
    title = "A history cut short takes nothing out of the books"
    harm = (
        "After a restart the broker showed only part of its history; a real position was closed, a live order dropped."
    )

    def arrange(self, stage: Stage) -> None:
        stage.buy("10")
        working = stage.buy("5", wait="new", order_type="limit", limit_price="50", time_in_force="gtc")
        stage.notes["working"] = working
        stage.broker(f"holds 10 {stage.symbol}, and an order for 5 more waits at 50")

    def act(self, stage: Stage) -> None:
        stage.notes["before"] = stage.books()
        for path in ("/v2/orders", "/v2/account/activities"):
            stage.venue.fault("truncated_page", "GET", f"^{path}$", rows=1000)
        stage.broker("shows no order and no execution any more, as if the account were new")

    def expect(self, stage: Stage) -> None:
        for _restart in range(2):
            run = stage.reconcile("--full")
            stage.demand(run["state"] == "incomplete", f"the run was {run['state']} without the history")
        stage.demand(stage.proposed() == 0, "something was proposed on half a history")
        stage.demand(stage.books() == stage.notes["before"], "the books were changed by half a history")
        stage.venue.clear()
        stage.is_sound()
        order = Order.objects.get(pk=stage.notes["working"].pk)
        stage.demand(order.status == "new", f"the working order is {order.status} in the books")
        stage.venue.api("DELETE", f"/v2/orders/{order.broker_order_id}")
        stage.follow(order, "canceled")
        stage.figure("orders kept", len(stage.notes["before"]["orders"]))


class RepairIsNotBelievedBeforeItIsSeen(Story):
    number = 14
    title = "A repair counts only when a fresh look confirms it"
    harm = "Systems reported success although the repair had failed, or repaired by a picture that was no longer true."

    def arrange(self, stage: Stage) -> None:
        stage.venue.by_hand(symbol=stage.symbol, side="buy", qty="10")
        stage.broker(f"somebody bought 10 {stage.symbol} in the app")
        run = stage.judge()
        stage.demand(bool(stage.roots(run)), "the purchase was not found")

    def act(self, stage: Stage) -> None:
        # The picture that a person approved is old before it is applied.
        stage.venue.fault("status", "GET", "^/v2/positions$")
        stage.broker("fails while the approved repair is being checked")
        fix = Fix.objects.filter(account=stage.account, symbol=stage.symbol).proposed().get()
        stage.notes["before"] = stage.books()
        status, document = stage.approve(fix, by=PERSON)
        stage.software(f"backfill ends with status {status}: {document['fixes'][0]['state']}")
        stage.demand(status == 1, f"a repair that nobody could check was reported as done (status {status})")
        stage.demand(document["fixes"][0]["state"] != "verified", "a repair was called verified without a look")
        stage.demand(stage.books() == stage.notes["before"], "the books were written on evidence that failed")
        stage.venue.clear()

    def expect(self, stage: Stage) -> None:
        run = stage.judge()
        stage.demand(run["state"] == "drift", f"the difference is hidden: {run['state']}")
        fix = Fix.objects.get(account=stage.account, symbol=stage.symbol)
        with self._failing_once_written(stage) as failing:
            status, document = stage.approve(fix, by=PERSON)
        stage.demand(bool(failing), "no execution was written, so nothing failed after it")
        stage.broker("fails as soon as the repair is written")
        state = document["fixes"][0]["state"]
        stage.software(f"backfill ends with status {status}: {state}")
        stage.demand(stage.held() == 10, f"the repair was not even written: the books hold {stage.held()}")
        stage.demand((status, state) == (1, "applied"), f"a repair that no look confirms is {state}, status {status}")
        stage.venue.clear()
        stage.broker("answers again")
        stage.reconcile()
        fix.refresh_from_db()
        stage.repaired(f"{fix.title}: {fix.state}, now that a fresh look shows it")
        stage.demand(fix.state == Fix.State.VERIFIED, f"the repair is {fix.state} after a look that confirms it")
        stage.figure("looks that failed", "one before it was written, one after")
        stage.is_sound()

    @contextmanager
    def _failing_once_written(self, stage: Stage) -> Iterator[list[Fill]]:
        """Alpaca fails from the moment in which the repair is written: only the look after it meets that."""
        written: list[Fill] = []

        def fail(instance: Fill, **_facts: Any) -> None:
            if instance.order.symbol == stage.symbol:
                stage.venue.fault("status", "GET", "^/v2/positions$")
                written.append(instance)

        post_save.connect(fail, sender=Fill)
        try:
            yield written
        finally:
            post_save.disconnect(fail, sender=Fill)
