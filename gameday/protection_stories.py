"""Stories of stops: one that no list shows, and one that outlived the shares it guarded."""

from gameday.stage import PERSON, Stage
from gameday.story import Story
from orders.models import Order
from reconciliation.models import Fix


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
        stage.notes["bare"] = stage.another_company()
        stage.venue.by_hand(symbol=stage.notes["bare"], side="buy", qty="10")
        stage.broker(f"and 10 {stage.notes['bare']} without any stop")

    def act(self, stage: Stage) -> None:
        listed = [order["type"] for order in stage.venue.open_orders(stage.symbol)]
        stage.broker(f"its list of open orders shows: {', '.join(listed) or 'nothing'}")
        stage.demand("stop" not in listed, "the simulator lists the held stop")

    def expect(self, stage: Stage) -> None:
        stage.judge()
        stage.backfill()
        run = stage.judge()
        stage.demand(not stage.roots(run), f"found {stage.roots(run)} in a position that is protected")
        stop = Order.objects.filter(account=stage.account, symbol=stage.symbol, order_type="stop").first()
        told = f"{stop.status} at {stop.stop_price:f}" if stop and stop.stop_price else "none"
        stage.demand(told == "held at 92", f"the stop in the books is: {told}")
        stage.figure("stop in the books", told)
        self._board_calls_it(stage, stage.symbol, "Covered 10 10")
        self._board_calls_it(stage, stage.notes["bare"], "Naked 10 0")
        stage.is_sound()
        for order in stage.venue.open_orders(stage.symbol):
            stage.venue.api("DELETE", f"/v2/orders/{order['id']}")

    def _board_calls_it(self, stage: Stage, symbol: str, words: str) -> None:
        """Told of both, so that what is said of the one is not said of every position."""
        row = stage.row(f"/protection/?q={symbol}", f"protection-{symbol}")
        stage.demand(row.startswith(f"{symbol} {words} "), f"the protection board says: {row}")
        stage.software(f"says on the protection board: {row}")


class OrphanStopIsFoundOnce(Story):
    number = 12
    title = "A stop for too many shares, or for none, is found and put right once"
    harm = "Stops outlived their positions and opened new ones when they fired, or were cancelled and placed in a loop."

    def arrange(self, stage: Stage) -> None:
        stage.notes["purchases"] = [stage.buy("10"), stage.buy("5")]
        fields = {"symbol": stage.symbol, "side": "sell", "qty": "15", "time_in_force": "gtc"}
        stage.venue.by_hand(**fields, type="stop", stop_price="92", wait="new")
        stage.judge()
        stage.backfill()
        stage.broker(f"holds 15 {stage.symbol}, guarded by a stop at 92")

    def act(self, stage: Stage) -> None:
        (stop,) = stage.venue.open_orders(stage.symbol)
        self._take_back(stage, 1)
        stage.broker("the exchange takes the purchase of 5 back: the stop is for more than the 10 that are left")
        run = stage.judge()
        stage.backfill()
        run = stage.judge()
        stage.demand(stage.roots(run) == ["stop_qty"], f"found {stage.roots(run)}, and no stop for too many shares")
        self._approve(stage)
        self._look_again(stage)
        asked = stage.venue.requests("PATCH", f"/v2/orders/{stop['id']}")
        stage.demand(len(asked) == 1, f"its change was asked for {len(asked)} times")
        (smaller,) = stage.venue.open_orders(stage.symbol)
        is_like = (smaller["qty"], smaller["stop_price"], smaller["type"]) == ("10", stop["stop_price"], "stop")
        stage.demand(is_like, f"a stop at 92 for 10 is wanted, and there is {smaller}")
        stage.notes["stop"] = smaller["id"]
        stage.figure("changes sent", len(asked))
        self._take_back(stage, 0)
        stage.broker("the exchange takes the purchase of 10 back: the shares are gone, the stop is still there")

    def _take_back(self, stage: Stage, purchase: int) -> None:
        stage.venue.act("bust", order_id=stage.notes["purchases"][purchase].broker_order_id)

    def _look_again(self, stage: Stage) -> None:
        """Nothing may be done once more by runs and repairs that come later."""
        for _look in range(2):
            stage.judge()
            stage.backfill()

    def expect(self, stage: Stage) -> None:
        run = stage.judge()
        stage.demand("orphan_exit" in stage.roots(run), f"found {stage.roots(run)}, and no stop without a position")
        stage.backfill()
        stage.judge()
        self._approve(stage)
        self._look_again(stage)
        status = stage.venue.order(stage.notes["stop"])["status"]
        asked = stage.venue.requests("DELETE", f"/v2/orders/{stage.notes['stop']}")
        stage.demand(status == "canceled", f"the stop is {status} at Alpaca")
        stage.demand(len(asked) == 1, f"its cancel was asked for {len(asked)} times")
        stage.figure("cancels sent", len(asked))
        stage.is_sound()

    def _approve(self, stage: Stage) -> None:
        """It trades, so it takes a person who may do that; for anybody else it is refused."""
        waiting = Fix.objects.filter(account=stage.account, symbol=stage.symbol, acts_at_broker=True)
        fix = waiting.proposed().get()
        status, _ = stage.approve(fix, by=PERSON)
        stage.demand(status == 2, f"{PERSON} may act at Alpaca without the permission for it")
        stage.software(f"{PERSON} may not approve what acts at Alpaca: refused")
        with stage.broker_person() as name:
            _, document = stage.approve(fix, by=name)
        done = document["fixes"][0]
        stage.repaired(f"{done['title']}: {done['state']}. {done['outcome'] or ''}".rstrip())
