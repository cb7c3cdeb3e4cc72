"""Stories of orders and shares that turned into something else: replaced, bracketed, closed by hand, split."""

from decimal import Decimal

from gameday.stage import PERSON, Stage
from gameday.story import Story
from orders.models import Fill, Order
from positions.models import Position
from reconciliation.models import Fix


class ReplacedOrderIsFollowed(Story):
    number = 9
    title = "A replaced order is followed to its new id"
    harm = "A replacement got a new id, or was refused after it had been answered; the fill was booked nowhere."

    def arrange(self, stage: Stage) -> None:
        order = stage.buy("10", order_type="limit", limit_price="50", time_in_force="gtc")
        stage.notes["first"] = order
        stage.broker(f"an order for 10 {stage.symbol} waits at 50")

    def act(self, stage: Stage) -> None:
        second = stage.venue.replace(stage.notes["first"].broker_order_id, limit_price="60")
        stage.venue.wait_for(second["id"], "new")
        third = stage.venue.replace(second["id"], limit_price="120")
        stage.venue.wait_for(third["id"], "filled")
        stage.notes["last"] = third["id"]
        stage.broker("somebody changes it in the app to 60, then to 120, where it fills at 100")
        self._refuse_one(stage)

    def _refuse_one(self, stage: Stage) -> None:
        """A replacement that is answered like any other and rejected then; the old order fills instead of it."""
        old = stage.buy("5", order_type="limit", limit_price="50", time_in_force="gtc")
        stage.venue.fault("reject_replacement", "PATCH", times=1)
        new = stage.venue.replace(old.broker_order_id, limit_price="60", qty="8")
        stage.demand(bool(new.get("id")), f"the change was not even answered: {new}")
        stage.venue.wait_for(new["id"], "rejected")
        stage.broker("says yes to a change of another order, from 5 at 50 to 8 at 60, and rejects it a moment later")
        found = stage.roots(stage.reconcile())
        stage.demand("refused_change" in found, f"found {found}, and no change that was refused")
        stage.venue.fill(old.broker_order_id, "5")
        stage.venue.wait_for(old.broker_order_id, "filled")
        stage.notes["refused"] = (old, new["id"])
        stage.broker("fills the old order, 5 of them")

    def expect(self, stage: Stage) -> None:
        run = stage.reconcile()
        stage.demand(run["state"] != "incomplete", f"the chain could not be read: {run['incomplete_reason']}")
        stage.backfill()
        chain = list(Order.objects.filter(account=stage.account, symbol=stage.symbol).order_by("submitted_at", "pk"))
        by_id = {order.broker_order_id: order for order in chain}
        last, hops = by_id[stage.notes["first"].broker_order_id], 0
        while last.replaced_by:
            last, hops = by_id[last.replaced_by], hops + 1
        stage.demand(last.broker_order_id == stage.notes["last"], "the books do not lead to the order that was filled")
        stage.demand(last.status == "filled", f"the last order of the chain is {last.status}")
        stage.demand(hops == 2, f"{hops} replacements are known instead of 2")
        self._refusal_is_known(stage)
        stage.demand(stage.held() == 15, f"10 and 5 were filled, the books hold {stage.held()}")
        stage.figure("replacements followed", hops)
        stage.is_sound()

    def _refusal_is_known(self, stage: Stage) -> None:
        old, refused = stage.notes["refused"]
        old.refresh_from_db()
        filled = sum(Fill.objects.filter(order=old).values_list("qty", flat=True), Decimal(0))
        told = (old.status, old.filled_qty, filled, old.qty)
        stage.demand(told == ("filled", 5, 5, 5), f"the order whose change was refused is {told}")
        new = Order.objects.filter(account=stage.account, broker_order_id=refused).first()
        rejected = new is not None and (new.status, new.filled_qty) == ("rejected", 0)
        stage.demand(rejected, f"the refused replacement is {new and new.status} in the books")
        stage.figure("refused replacement", "rejected, its old order filled 5")


class HeldStopIsSeen(Story):
    number = 10
    title = "A stop that waits is seen, though no list shows it"
    harm = (
        "The stop of a bracket is in no list of open orders: positions were called unprotected, or the legs got lost."
    )

    def arrange(self, stage: Stage) -> None:
        parent = stage.venue.by_hand(
            symbol=stage.symbol, side="buy", qty="10", time_in_force="gtc", order_class="bracket",
            take_profit={"limit_price": "116"}, stop_loss={"stop_price": "92"},
        )  # fmt: skip
        stage.notes["parent"] = parent
        stage.broker(f"somebody bought 10 {stage.symbol} in the app, as a bracket with stop 92 and target 116")

    def act(self, stage: Stage) -> None:
        listed = [order["type"] for order in stage.venue.open_orders(stage.symbol)]
        stage.broker(f"its list of open orders shows: {', '.join(listed) or 'nothing'}")
        stage.demand("stop" not in listed, "the simulator lists the held stop")

    def expect(self, stage: Stage) -> None:
        stage.reconcile()
        stage.backfill()
        run = stage.reconcile()
        naked = [drift["kind"] for drift in run["drifts"] if drift["kind"] in {"naked_position", "stop_qty"}]
        stage.demand(not naked, f"a protected position is called {naked}")
        stop = Order.objects.filter(account=stage.account, symbol=stage.symbol, order_type="stop").first()
        stage.demand(stop is not None, "the held stop is not in the books")
        stage.figure(
            "stop in the books", f"{stop.status} at {stop.stop_price:f}" if stop and stop.stop_price else "none"
        )
        stage.shows("/protection/", stage.symbol)
        stage.is_sound()
        for order in stage.venue.open_orders(stage.symbol):
            stage.venue.api("DELETE", f"/v2/orders/{order['id']}")


class ClosedByHandIsTold(Story):
    number = 11
    title = "What a person closes by hand is told as what it was"
    harm = "A sale in the broker's app was swept into the wrong trade, or never noticed."

    def arrange(self, stage: Stage) -> None:
        stage.notes["orders"] = [stage.buy("10"), stage.buy("10", order_type="limit", limit_price="120")]
        stage.follow(stage.notes["orders"][1], "filled")
        stage.broker(f"holds 20 {stage.symbol} from two orders of ours")

    def act(self, stage: Stage) -> None:
        stage.notes["sale"] = stage.venue.by_hand(symbol=stage.symbol, side="sell", qty="10")
        stage.broker(f"somebody sells 10 {stage.symbol} in the app")

    def expect(self, stage: Stage) -> None:
        run = stage.reconcile()
        mine = [drift for drift in run["drifts"] if drift["symbol"] == stage.symbol]
        roots = [drift for drift in mine if drift["cause_id"] is None]
        stage.demand([root["kind"] for root in roots] == ["external_order"], f"{stage.roots(run)} instead of one cause")
        stage.demand(len(mine) == 2, f"{len(mine)} items instead of the sale and the position that it explains")
        stage.shows("/reconciliation/", stage.symbol)
        stage.backfill()
        for order in stage.notes["orders"]:
            order.refresh_from_db()
            stage.demand((order.status, order.filled_qty) == ("filled", 10), f"our own order was changed: {order}")
        sale = Order.objects.get(account=stage.account, broker_order_id=stage.notes["sale"]["id"])
        stage.demand(sale.origin == Order.Origin.EXTERNAL, f"the sale is taken for {sale.origin}")
        stage.demand(stage.held() == 10, f"the books hold {stage.held()} instead of 10")
        stage.figure("origin of the sale", sale.origin)
        stage.is_sound()


class OrphanStopIsFoundOnce(Story):
    number = 12
    title = "A stop that guards nothing is found, and cancelled once"
    harm = "Stops outlived their positions and opened new ones when they fired, or were cancelled and placed in a loop."

    def arrange(self, stage: Stage) -> None:
        stage.notes["purchase"] = stage.buy("10")
        fields = {"symbol": stage.symbol, "side": "sell", "qty": "10", "time_in_force": "gtc"}
        stage.venue.by_hand(**fields, type="stop", stop_price="92", wait="new")
        stage.reconcile()
        stage.backfill()
        stage.broker(f"holds 10 {stage.symbol}, guarded by a stop at 92")

    def act(self, stage: Stage) -> None:
        (stop,) = stage.venue.open_orders(stage.symbol)
        stage.notes["stop"] = stop["id"]
        stage.venue.act("bust", order_id=stage.notes["purchase"].broker_order_id)
        stage.broker("the exchange takes the purchase back: the shares are gone, the stop is still there")

    def expect(self, stage: Stage) -> None:
        run = stage.reconcile()
        stage.demand("orphan_exit" in stage.roots(run), f"found {stage.roots(run)}, and no stop without a position")
        stage.backfill()
        stage.reconcile()
        self._cancel(stage)
        for _look in range(2):
            stage.reconcile()
            stage.backfill()
        status = stage.venue.order(stage.notes["stop"])["status"]
        asked = stage.venue.requests("DELETE", f"/v2/orders/{stage.notes['stop']}")
        stage.demand(status == "canceled", f"the stop is {status} at Alpaca")
        stage.demand(len(asked) == 1, f"its cancel was asked for {len(asked)} times")
        stage.figure("cancels sent", len(asked))
        stage.is_sound()

    def _cancel(self, stage: Stage) -> None:
        """It trades, so it takes a person who may do that; for anybody else it is refused."""
        waiting = Fix.objects.filter(account=stage.account, symbol=stage.symbol, acts_at_broker=True)
        fix = waiting.proposed().get()
        status, _ = stage.approve(fix, by=PERSON)
        stage.demand(status == 2, f"{PERSON} may cancel at Alpaca without the permission for it")
        stage.software(f"{PERSON} may not approve what acts at Alpaca: refused")
        with stage.broker_person() as name:
            _, document = stage.approve(fix, by=name)
        done = document["fixes"][0]
        stage.repaired(f"{done['title']}: {done['state']}. {done['outcome'] or ''}".rstrip())


class SplitMovesEverything(Story):
    number = 13
    title = "A split changes shares, prices and stop together"
    harm = "Shares were multiplied and the stop was not: it fired at once, or guarded a tenth of the position."

    def arrange(self, stage: Stage) -> None:
        stage.buy("10")
        position = Position.objects.get(account=stage.account, symbol=stage.symbol, state="open")
        stage.notes["before"] = position
        stage.broker(f"holds 10 {stage.symbol} at {position.avg_entry_price:f}, planned stop {position.stop_loss:f}")

    def act(self, stage: Stage) -> None:
        stage.venue.act("split", symbol=stage.symbol, ratio="10")
        stage.broker(f"{stage.symbol} is split 10 for 1")

    def expect(self, stage: Stage) -> None:
        run = stage.reconcile()
        stage.demand(stage.roots(run) == ["split"], f"found {stage.roots(run)} instead of a split")
        stage.backfill()
        was = stage.notes["before"]
        now = Position.objects.get(account=stage.account, symbol=stage.symbol, state="open")
        stage.demand(now.qty == was.qty * 10, f"the books hold {now.qty}")
        stage.demand(now.avg_entry_price == was.avg_entry_price / 10, f"the average is {now.avg_entry_price}")
        stage.demand(now.stop_loss == was.stop_loss / 10, f"the stop stands at {now.stop_loss}")
        cost = now.qty * now.avg_entry_price
        stage.demand(cost == was.qty * was.avg_entry_price, f"what the shares cost changed to {cost}")
        stage.figure("cost before and after", f"{Decimal(cost).normalize():f}")
        stage.figure("stop", f"{was.stop_loss:f} → {now.stop_loss:f}")
        stage.is_sound()
