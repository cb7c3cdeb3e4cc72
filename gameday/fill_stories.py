"""Stories of executions that were lost, counted twice, or given a price that nobody paid."""

import time
from decimal import Decimal

from django.utils import timezone

from gameday.listening import PATIENCE, failing_handler, following, is_live
from gameday.patience import frequent_looks
from gameday.stage import Stage
from gameday.story import Story
from gameday.stream_process import StreamProcess, stream_process
from gameday.venue import until
from orders.models import Fill, Order
from positions.models import Adjustment, Position
from positions.rebuilding import rebuild_positions

#: How often the sweep asks for an order of which a stream should tell.
LOOK_SECONDS = 1.0
#: What the product says of frames that its own handler failed on.
NOT_BOOKED = "What the stream told could not be booked."


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
        run = stage.judge()
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
    title = "A stream that breaks, falls silent or fails to be booked loses no fill"
    harm = (
        "The connection stayed open and told nothing, or a handler failed and no one noticed; fills were lost for good."
    )

    def arrange(self, stage: Stage) -> None:
        stage.venue.configure(hold_fills=True)
        _, orders = stage.submit({"symbol": stage.symbol, "side": "buy", "qty": "10"})
        stage.notes["order"] = Order.objects.get(pk=orders[0].pk)
        stage.broker(f"holds an order for 10 {stage.symbol} that fills in three parts")

    def act(self, stage: Stage) -> None:
        with frequent_looks(LOOK_SECONDS), following(stage.account):
            stage.software("the stream is live; any process that followed it before was killed for this")
            cut = timezone.now()
            stage.venue.fault("close_socket", match={"symbol": stage.symbol}, times=1)
            self._part(stage, "4", "filled 4, and cut the connection before it could tell")
            until(lambda: is_live(stage.account, since=cut), "the stream after the cut", seconds=PATIENCE)
            with failing_handler() as raised:
                self._break_the_handler(stage, raised)
            stage.venue.fault("silent_socket", match={"symbol": stage.symbol}, times=1)
            self._part(stage, "3", "filled the last 3, and keeps the connection open without a word")

    def _part(self, stage: Stage, qty: str, words: str) -> None:
        """One partial fill that the stream does not tell: the sweep finds it, or who notices the silence reads it."""
        order, began = stage.notes["order"], time.monotonic()
        wanted = stage.booked(order) + Decimal(qty)
        stage.venue.fill(order.broker_order_id, qty)
        stage.broker(words)
        until(lambda: stage.booked(order) == wanted, f"{wanted:f} booked though it was not told", seconds=PATIENCE)
        stage.repaired(f"found without a word of the stream: {wanted:f} booked, after {time.monotonic() - began:.1f} s")

    def _break_the_handler(self, stage: Stage, raised: list[str]) -> None:
        """The second part reaches a handler that raises, while Alpaca's lists cannot be read either."""
        for path in ("/v2/orders", "/v2/account/activities"):
            stage.venue.fault("status", "GET", path)
        stage.venue.fill(stage.notes["order"].broker_order_id, "3")
        stage.broker("filled 3 more and told it; its lists answer 500 meanwhile")
        until(lambda: raised, "the frame", seconds=PATIENCE)
        stage.software("the handler of the stream fails on it, as by a fault of the program")
        page = "/system/"
        until(lambda: NOT_BOOKED in stage.pages.read(page), f"the page {page} telling of the gap", seconds=PATIENCE)
        stage.demand(not is_live(stage.account), "a stream is called live though what it told was not booked")
        stage.demand(stage.booked(stage.notes["order"]) == 4, "a fill was booked that no one could read")
        stage.software(f"says on {page}: {NOT_BOOKED}")
        stage.venue.clear()
        stage.broker("answers again")
        until(lambda: is_live(stage.account), "a stream that is live again", seconds=PATIENCE)
        stage.demand(stage.booked(stage.notes["order"]) == 7, "the stream is called live, and a fill is not booked yet")
        stage.repaired("what was missed is read from the lists; the stream is called live again")

    def expect(self, stage: Stage) -> None:
        order = stage.follow(stage.notes["order"], "filled")
        fills = list(Fill.objects.filter(order=order).order_by("transaction_time").values_list("qty", flat=True))
        stage.demand([int(qty) for qty in fills] == [4, 3, 3], f"the fills 4, 3 and 3 are booked as {fills}")
        stage.figure("fills booked once each", len(fills))
        stage.is_sound()


class PartialFillsAddUp(Story):
    number = 8
    title = "Partial fills add up, whichever of them was missed"
    harm = "A cumulative quantity was taken for a new one, or one partial fill was missed: too many shares, or too few."

    PARTS = (("4", "100"), ("3", "103"), ("3", "106"))

    def arrange(self, stage: Stage) -> None:
        stage.venue.configure(hold_fills=True)
        _, orders = stage.submit({"symbol": stage.symbol, "side": "buy", "qty": "10"})
        stage.notes["order"] = Order.objects.get(pk=orders[0].pk)
        stage.broker(f"holds an order for 10 {stage.symbol} that fills in three parts, each at its own price")

    def act(self, stage: Stage) -> None:
        with stream_process(stage.account) as process:
            self._fill(stage, 0)
            until(lambda: stage.booked(stage.notes["order"]) == 4, "the first part in the books", seconds=PATIENCE)
            stage.software("the process that follows the stream has booked 4")
            killed = timezone.now()
            self._miss_the_second(stage, process)
            process.start()
            until(lambda: is_live(stage.account, since=killed), "the restarted stream", seconds=PATIENCE)
            stage.software("is started again, and follows the stream anew")
            self._fill(stage, 2)
            order = stage.notes["order"]
            until(lambda: stage.booked(order) == 10, "all three parts in the books", seconds=PATIENCE)

    def _fill(self, stage: Stage, part: int) -> None:
        qty, price = self.PARTS[part]
        stage.venue.price(stage.symbol, price)
        stage.venue.fill(stage.notes["order"].broker_order_id, qty)
        stage.broker(f"filled {qty} at {price}")

    def _miss_the_second(self, stage: Stage, process: StreamProcess) -> None:
        """Nobody hears of it: its frame is lost, no list answers, and who follows the stream is killed."""
        stage.venue.fault("lose_frame", match={"symbol": stage.symbol}, times=1)
        for path in ("/v2/orders", "/v2/account/activities"):
            stage.venue.fault("status", "GET", path)
        self._fill(stage, 1)
        process.kill()
        stage.software("the process that follows the stream is killed before it heard of that")
        booked = stage.booked(stage.notes["order"])
        stage.demand(booked == 4, f"{booked} are booked, though the second part was told to nobody")
        stage.venue.clear()

    def expect(self, stage: Stage) -> None:
        order = stage.follow(stage.notes["order"], "filled")
        run = stage.judge()
        stage.demand(not stage.roots(run), f"a run finds {stage.roots(run)} in what the stream has booked")
        fills = list(Fill.objects.filter(order=order).order_by("transaction_time"))
        told = [(f"{fill.qty.normalize():f}", f"{fill.price.normalize():f}") for fill in fills]
        stage.demand(told == list(self.PARTS), f"the parts are booked as {told}")
        stage.demand(order.filled_qty == 10, f"the order says that {order.filled_qty} were filled")
        stage.figure("fills", f"{len(fills)}, together {stage.booked(order).normalize():f}")
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
        stage.reconcile()
        stage.backfill()
        stage.demand(stage.held() == 10, "the position was closed without knowing at what price")
        self._close_without_exit(stage, stage.symbol)
        stage.software("the books say closed, without an exit, as a faulty program left them")
        stage.reconcile()
        stage.backfill()
        self._has_no_exit(stage, stage.symbol)
        stage.venue.clear()

    def expect(self, stage: Stage) -> None:
        self._needs_a_value(stage)
        stage.reconcile()
        stage.backfill()
        position = Position.objects.filter(account=stage.account, symbol=stage.symbol).latest("sequence")
        stage.demand(position.avg_exit_price == Decimal("112.5"), f"the exit is at {position.avg_exit_price}")
        stage.demand(position.realized_pl == 125, f"the profit is {position.realized_pl} instead of 125")
        stage.figure("exit", f"{position.avg_exit_price:f}")
        stage.figure("profit", f"{position.realized_pl:f}")
        stage.is_sound()

    def _needs_a_value(self, stage: Stage) -> None:
        """A position that no execution at Alpaca tells the end of: what it was left at has to be found by a person."""
        other, now = stage.another_company(), timezone.now()
        stage.venue.price(other, "240")
        began = Adjustment.objects.create(
            account=stage.account, symbol=other, kind=Adjustment.Kind.OPENING, qty=Decimal(7), price=Decimal(190),
            effective_at=now, recorded_at=now, reference=f"gameday-{other}", recorded_by="gameday",
            reason="Held before the books began.",
        )  # fmt: skip
        try:
            rebuild_positions(account=stage.account, symbols={other}, now=now)
            self._close_without_exit(stage, other)
            stage.software(f"and of 7 {other} at 190 they say closed, though no execution at Alpaca tells of an exit")
            run = stage.reconcile()
            found = [(drift["kind"], drift["fix_id"]) for drift in run["drifts"] if drift["symbol"] == other]
            stage.demand(found == [("closed_without_exit", None)], f"found {found}, and no exit that needs a value")
            stage.shows("/reconciliation/", other, "It needs a value")
            stage.backfill()
            self._has_no_exit(stage, other)
            stage.figure("exit that nobody knows", "none, needs a value")
        finally:
            began.delete()
            rebuild_positions(account=stage.account, symbols={other}, now=now)

    def _close_without_exit(self, stage: Stage, symbol: str) -> None:
        mine = Position.objects.filter(account=stage.account, symbol=symbol).open()
        nothing = {"qty": Decimal(0), "avg_exit_price": None, "realized_pl": Decimal(0)}
        mine.update(state="closed", closed_at=timezone.now(), **nothing)

    def _has_no_exit(self, stage: Stage, symbol: str) -> None:
        row = Position.objects.filter(account=stage.account, symbol=symbol).latest("sequence")
        told = (row.state, row.avg_exit_price, row.realized_pl)
        stage.demand(told == ("closed", None, 0), f"the exit of {symbol} was made up: {told}")
