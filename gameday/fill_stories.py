"""Stories of executions that were lost, counted twice, or given a price that nobody paid."""

import time
from decimal import Decimal

from django.utils import timezone

from gameday.stage import Stage
from gameday.story import Story
from orders.models import Fill, Order
from positions.models import Adjustment, Position
from positions.rebuilding import rebuild_positions


class GuessAndTrueFillCountOnce(Story):
    number = 5
    title = "A guess steps aside when the true fill comes"
    harm = "A position was corrected by a guess; later the real execution arrived and was counted beside it."

    def arrange(self, stage: Stage) -> None:
        now = timezone.now()
        # What a repair of yesterday left: the position was there and no execution told of it.
        Adjustment.objects.create(
            account=stage.account, symbol=stage.symbol, kind=Adjustment.Kind.CORRECTION, qty=Decimal(10),
            price=Decimal(97), effective_at=now, recorded_at=now, reference=f"fix:gameday-{stage.symbol}:1",
            is_estimated=True, recorded_by="gameday", reason="The position was there, its execution was not.",
        )  # fmt: skip
        rebuild_positions(account=stage.account, symbols={stage.symbol}, now=now)
        stage.software(f"the books hold 10 {stage.symbol} by a guess at 97")

    def act(self, stage: Stage) -> None:
        stage.venue.by_hand(symbol=stage.symbol, side="buy", qty="10")
        stage.broker("the true execution comes to light: 10 at 100")

    def expect(self, stage: Stage) -> None:
        run = stage.reconcile()
        stage.demand(run["state"] == "drift", f"the run was {run['state']}")
        stage.backfill()
        left = Adjustment.objects.filter(account=stage.account, symbol=stage.symbol).count()
        stage.demand(stage.held() == 10, f"the books hold {stage.held()} instead of 10")
        stage.demand(not left, "the guess still counts")
        price = Position.objects.get(account=stage.account, symbol=stage.symbol).avg_entry_price
        stage.demand(price == 100, f"the average is {price} instead of what was paid")
        stage.figure("average", f"{price:f}")
        stage.is_sound()


class SilentStreamLosesNothing(Story):
    number = 7
    title = "A stream that falls silent loses no fill"
    harm = "The connection stayed open and told nothing; fills of that time were never recovered."

    def arrange(self, stage: Stage) -> None:
        stage.venue.fault("silent_socket")
        stage.broker("keeps the stream open and tells nothing on it any more")

    def act(self, stage: Stage) -> None:
        stage.notes["sent"] = time.monotonic()
        _, orders = stage.submit({"symbol": stage.symbol, "side": "buy", "qty": "10"})
        stage.notes["order"] = orders[0]
        filled = stage.venue.wait_for(str(Order.objects.get(pk=orders[0].pk).broker_order_id), "filled")
        stage.broker(f"filled 10 {stage.symbol} at {filled['filled_avg_price']}, and said nothing")

    def expect(self, stage: Stage) -> None:
        order = stage.follow(stage.notes["order"], "filled")
        seconds = time.monotonic() - stage.notes["sent"]
        fills = Fill.objects.filter(order=order).count()
        stage.repaired(f"the sweep found it by itself: {order.status}, {fills} fill, {seconds:.1f} s after it was sent")
        stage.demand(fills == 1, f"{fills} fills stand for one execution")
        stage.figure("seconds without the stream", f"{seconds:.1f}")
        stage.venue.clear()
        stage.is_sound()


class PartialFillsAddUp(Story):
    number = 8
    title = "Partial fills add up, whichever of them was missed"
    harm = "A cumulative quantity was taken for a new one, or one partial fill was missed: too many shares, or too few."

    PARTS = ("4", "3", "3")

    def arrange(self, stage: Stage) -> None:
        stage.venue.configure(hold_fills=True)
        _, orders = stage.submit({"symbol": stage.symbol, "side": "buy", "qty": "10"})
        order = orders[0]
        order.refresh_from_db()
        stage.notes["order"] = order
        stage.venue.fill(order.broker_order_id, self.PARTS[0])
        stage.follow(order, "partially_filled")
        stage.broker(f"filled {self.PARTS[0]} of 10 {stage.symbol}, and the books know")

    def act(self, stage: Stage) -> None:
        order = stage.notes["order"]
        for qty in self.PARTS[1:]:
            stage.venue.price(stage.symbol, str(100 + int(qty)))
            stage.venue.fill(order.broker_order_id, qty)
        stage.venue.wait_for(order.broker_order_id, "filled")
        stage.broker("filled 3 and 3 more, one of them while nobody was listening")
        stage.follow(order, "filled")
        missed = Fill.objects.filter(order=order).order_by("pk")[1]
        # A process that died between two writes.
        Order.objects.filter(pk=order.pk).update(status="partially_filled", filled_qty=Decimal(4), is_booked=False)
        missed.delete()
        rebuild_positions(account=stage.account, symbols={stage.symbol}, now=timezone.now())
        stage.software(f"the second one is gone from the books, which hold {stage.held()}")

    def expect(self, stage: Stage) -> None:
        stage.reconcile()
        stage.backfill()
        fills = list(Fill.objects.filter(order=stage.notes["order"]).order_by("pk"))
        total = sum((fill.qty for fill in fills), Decimal(0))
        stage.demand(len(fills) == len(self.PARTS), f"{len(fills)} fills instead of {len(self.PARTS)}")
        stage.demand(total == 10, f"the fills add up to {total} instead of 10")
        stage.figure("fills", f"{len(fills)}, together {total:f}")
        stage.is_sound()


class ExitHasThePriceThatWasPaid(Story):
    number = 15
    title = "An exit has the price that was paid, or none"
    harm = "A closed position was given the last price, or zero, as its exit; the profit of the day was invented."

    def arrange(self, stage: Stage) -> None:
        stage.buy("10")
        stage.venue.price(stage.symbol, "112.50")
        stage.venue.by_hand(symbol=stage.symbol, side="sell", qty="10")
        stage.broker(f"somebody sold 10 {stage.symbol} in the app at 112.50")

    def act(self, stage: Stage) -> None:
        stage.venue.price(stage.symbol, "240")
        stage.broker("the price runs on to 240; and for a while the list of executions is empty")
        stage.venue.fault("empty_list", "GET", "/v2/account/activities")
        run = stage.reconcile()
        priced = [drift for drift in run["drifts"] if drift["symbol"] == stage.symbol and drift["fix_id"]]
        stage.demand(stage.held() == 10, "the position was closed without knowing at what price")
        stage.notes["guesses"] = len(priced)
        stage.venue.clear()

    def expect(self, stage: Stage) -> None:
        stage.reconcile()
        stage.backfill()
        position = Position.objects.filter(account=stage.account, symbol=stage.symbol).latest("sequence")
        stage.demand(position.avg_exit_price == Decimal("112.5"), f"the exit is at {position.avg_exit_price}")
        stage.demand(position.realized_pl == 125, f"the profit is {position.realized_pl} instead of 125")
        stage.figure("exit", f"{position.avg_exit_price:f}")
        stage.figure("profit", f"{position.realized_pl:f}")
        stage.is_sound()
