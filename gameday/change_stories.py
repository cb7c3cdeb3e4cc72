"""Stories of orders and shares that turned into something else: replaced, closed by hand, split."""

from decimal import Decimal

from gameday.stage import Stage
from gameday.story import Story
from orders.models import Fill, Order
from positions.models import Position


class ReplacedOrderIsFollowed(Story):
    number = 9
    title = "A replaced order is followed to its new id"
    harm = "A replacement got a new id, or was refused after it had been answered; the fill was booked nowhere."

    def arrange(self, stage: Stage) -> None:
        order = stage.buy("10", wait="new", order_type="limit", limit_price="50", time_in_force="gtc")
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
        old = stage.buy("5", wait="new", order_type="limit", limit_price="50", time_in_force="gtc")
        stage.venue.fault("reject_replacement", "PATCH", times=1)
        new = stage.venue.replace(old.broker_order_id, limit_price="60", qty="8")
        stage.demand(bool(new.get("id")), f"the change was not even answered: {new}")
        stage.venue.wait_for(new["id"], "rejected")
        stage.broker("says yes to a change of another order, from 5 at 50 to 8 at 60, and rejects it a moment later")
        found = stage.roots(stage.judge())
        stage.demand("refused_change" in found, f"found {found}, and no change that was refused")
        stage.venue.fill(old.broker_order_id, "5")
        stage.follow(old, "filled")  # by whoever hears of it: what is approved later shall not move any more
        stage.notes["refused"] = (old, new["id"])
        stage.broker("fills the old order, 5 of them")

    def expect(self, stage: Stage) -> None:
        stage.judge()
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


class ClosedByHandIsTold(Story):
    number = 11
    title = "What a person closes by hand is told as what it was"
    harm = "A sale in the broker's app was swept into the wrong trade, or never noticed."

    def arrange(self, stage: Stage) -> None:
        stage.buy("6")
        _, sales = stage.submit({"symbol": stage.symbol, "side": "sell", "qty": "6"})
        stage.follow(sales[0], "filled")
        stage.broker(f"bought and sold 6 {stage.symbol} for us: that trade is over")
        stage.buy("10")
        stage.venue.price(stage.symbol, "110")
        stage.buy("10", order_type="limit", limit_price="120")
        stage.notes["orders"] = stage.books()["orders"]
        stage.notes["trades"] = stage.books()["positions"]
        held = [f"{trade['state']} {trade['qty'].normalize():f}" for trade in stage.notes["trades"]]
        wanted = ["closed 0", "open 20"]
        stage.demand(held == wanted, f"the books hold the trades {held} instead of one that is over and one of 20")
        stage.broker(f"bought 10 {stage.symbol} twice more for us, at 100 and at 110")

    def act(self, stage: Stage) -> None:
        stage.venue.price(stage.symbol, "112.50")
        stage.notes["sale"] = stage.venue.by_hand(symbol=stage.symbol, side="sell", qty="10")
        stage.broker(f"somebody sells half of them in the app, 10 {stage.symbol} at 112.50")

    def expect(self, stage: Stage) -> None:
        run = stage.judge()
        mine = [drift for drift in run["drifts"] if drift["symbol"] == stage.symbol]
        roots = [drift for drift in mine if drift["cause_id"] is None]
        stage.demand([root["kind"] for root in roots] == ["external_order"], f"{stage.roots(run)} instead of one cause")
        stage.demand(len(mine) == 2, f"{len(mine)} items instead of the sale and the position that it explains")
        stage.shows("/reconciliation/", stage.symbol)
        stage.backfill()
        own = stage.books()["orders"][:4]
        stage.demand(own == stage.notes["orders"], f"our own orders were changed: {own}")
        sale = Order.objects.get(account=stage.account, broker_order_id=stage.notes["sale"]["id"])
        stage.demand(sale.origin == Order.Origin.EXTERNAL, f"the sale is taken for {sale.origin}")
        self._trades_are_told_apart(stage)
        stage.figure("origin of the sale", sale.origin)
        stage.is_sound()

    def _trades_are_told_apart(self, stage: Stage) -> None:
        """The sale belongs to the trade that was open when it was made; the one before stays as it was."""
        over, was_open = stage.notes["trades"]
        trades = stage.books()["positions"]
        stage.demand(len(trades) == 2, f"the books tell of {len(trades)} trades instead of 2")
        stage.demand(trades[0] == over, "the trade that was over before the sale has changed")
        now = trades[1]
        kept = ("side", "sequence", "opened_at", "avg_entry_price", "stop_loss", "target")
        changed = [name for name in kept if now[name] != was_open[name]]
        stage.demand(not changed, f"the sale of half changed {', '.join(changed)} of the open trade")
        stage.demand((now["qty"], now["state"]) == (10, "open"), f"the open trade is {now['qty']} {now['state']}")
        stage.demand(now["realized_pl"] == 75, f"the half was sold for a profit of {now['realized_pl']} instead of 75")
        stage.figure("profit of the half", f"{now['realized_pl'].normalize():f}")


class SplitMovesEverything(Story):
    number = 13
    title = "A split changes shares, prices and stop together"
    harm = "Shares were multiplied and the stop was not: it fired at once, or guarded a tenth of the position."

    def arrange(self, stage: Stage) -> None:
        stage.buy("10")
        stage.venue.by_hand(
            symbol=stage.symbol, side="sell", qty="10", type="limit", time_in_force="gtc", wait="new",
            order_class="oco", take_profit={"limit_price": "116"}, stop_loss={"stop_price": "92"},
        )  # fmt: skip
        stage.judge()
        stage.backfill()
        stop = Order.objects.get(account=stage.account, symbol=stage.symbol, order_type="stop")
        stage.notes["stop"] = stop.broker_order_id
        position = Position.objects.get(account=stage.account, symbol=stage.symbol, state="open")
        stage.notes["before"] = position
        stage.broker(f"holds 10 {stage.symbol} at {position.avg_entry_price:f}, with a stop at 92 as planned")
        stage.demand(position.stop_loss == 92, f"the planned stop is {position.stop_loss}")

    def act(self, stage: Stage) -> None:
        stage.venue.configure(hold_fills=True)
        stage.venue.act("split", symbol=stage.symbol, ratio="10")
        stage.broker(f"{stage.symbol} is split 10 for 1; the stop at Alpaca is still for 10 at 92")
        stop = stage.venue.order(stage.notes["stop"])
        terms = (stop["qty"], stop["stop_price"])
        stage.demand(terms == ("10", "92"), f"the simulator adjusted the stop to {terms}")

    def expect(self, stage: Stage) -> None:
        run = stage.judge()
        stage.demand(stage.roots(run) == ["split"], f"found {stage.roots(run)} instead of a split")
        stage.backfill()
        self._books_follow(stage)
        self._stop_is_told(stage)
        self._stop_fires(stage)
        stage.is_sound()

    def _books_follow(self, stage: Stage) -> None:
        was = stage.notes["before"]
        now = Position.objects.get(account=stage.account, symbol=stage.symbol, state="open")
        stage.demand(now.qty == was.qty * 10, f"the books hold {now.qty}")
        for name in ("avg_entry_price", "stop_loss", "target"):
            before, after = getattr(was, name), getattr(now, name)
            stage.demand(after == before / 10, f"{name} was {before} and is {after}")
        cost = now.qty * now.avg_entry_price
        stage.demand(cost == was.qty * was.avg_entry_price, f"what the shares cost changed to {cost}")
        stage.figure("cost before and after", f"{Decimal(cost).normalize():f}")
        stage.figure("planned stop", f"{was.stop_loss:f} → {now.stop_loss:f}")

    def _stop_is_told(self, stage: Stage) -> None:
        """The stop at Alpaca is for a tenth, and would sell at once: neither may be taken for protection."""
        run = stage.judge()
        mine = sorted(drift["kind"] for drift in run["drifts"] if drift["symbol"] == stage.symbol)
        stage.demand(mine == ["stop_qty", "wrong_stop"], f"of a stop that was not adjusted the run finds {mine}")
        row = stage.row(f"/protection/?q={stage.symbol}", f"protection-{stage.symbol}")
        stage.demand(row.startswith(f"{stage.symbol} Partly covered 100 10 "), f"the protection board says: {row}")
        stage.software(f"says on the protection board: {row}")

    def _stop_fires(self, stage: Stage) -> None:
        """What it does is booked as what it is: 10 of the 100 new shares, sold at the new price."""
        stage.venue.configure(hold_fills=False)
        stage.venue.wait_for(stage.notes["stop"], "filled")
        stage.broker("lets the stop fire at once: 10 are sold at 10")
        stage.judge()
        stage.backfill()
        now = Position.objects.get(account=stage.account, symbol=stage.symbol, state="open")
        told = [f"{value.normalize():f}" for value in (now.qty, now.avg_entry_price, now.realized_pl)]
        stage.demand(told == ["90", "10", "0"], f"quantity, average and profit are {', '.join(told)}")
