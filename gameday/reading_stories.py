"""Stories of answers that prove nothing: failed, empty, cut short, or too late."""

from gameday.stage import PERSON, Stage
from gameday.story import Story
from orders.models import Order
from reconciliation.models import Fix


class FailedReadIsNotFlat(Story):
    number = 1
    title = "A failed read is not an empty account"
    harm = "An error or an empty list was believed, and positions that existed were written off or sold again."

    BLOWS = (
        ("status", "/v2/positions", "answers 500 to every question for positions"),
        ("empty_list", "/v2/positions", "answers that it holds nothing at all"),
        ("truncated_page", "/v2/positions", "leaves half of the positions out"),
        ("empty_list", "/v2/orders", "answers that there have never been orders"),
    )

    def arrange(self, stage: Stage) -> None:
        stage.buy("10")
        stage.broker(f"holds 10 {stage.symbol}, and so do the books")

    def act(self, stage: Stage) -> None:
        stage.notes["before"] = stage.books()

    def expect(self, stage: Stage) -> None:
        incomplete = 0
        for fault, path, words in self.BLOWS:
            stage.venue.fault(fault, "GET", f"^{path}$")
            stage.broker(words)
            run = stage.reconcile()
            stage.demand(run["state"] == "incomplete", f"a run believed a broker that {words}: {run['state']}")
            stage.demand(stage.proposed() == 0, "something was proposed on bad evidence")
            stage.demand(stage.books() == stage.notes["before"], "the books were changed on bad evidence")
            stage.venue.clear()
            incomplete += 1
        stage.figure("bad answers not believed", f"{incomplete} of {len(self.BLOWS)}")
        stage.is_sound()


class TruncatedHistoryTakesNothingBack(Story):
    number = 4
    title = "A history cut short takes nothing out of the books"
    harm = (
        "After a restart the broker showed only part of its history; a real position was closed, a live order dropped."
    )

    def arrange(self, stage: Stage) -> None:
        stage.buy("10")
        working = stage.buy("5", order_type="limit", limit_price="50", time_in_force="gtc")
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
        run = stage.reconcile()
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
        run = stage.reconcile()
        stage.demand(run["state"] == "drift", f"the difference is hidden: {run['state']}")
        fixes = stage.backfill()
        mine = [fix for fix in fixes if fix["symbol"] == stage.symbol]
        stage.demand(bool(mine) and all(fix["state"] == "verified" for fix in mine), f"not verified: {mine}")
        stage.is_sound()
