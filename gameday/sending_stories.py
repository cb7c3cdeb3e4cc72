"""Stories of orders whose fate was not known, or was known wrongly."""

from gameday.patience import impatience
from gameday.stage import Stage
from gameday.story import Story
from orders.models import Fill, Order, OrderEvent

LOOK_UP = "/v2/orders:by_client_order_id"
FAILED_LOOK_UPS = 6
#: What the time line of an order says of whether Alpaca has it.
FATES = {"unconfirmed", "looked_up", "not_placed", "confirmed"}
#: How long the answer to an order is waited for here.
ANSWER_SECONDS = 3.0


class LostAnswerIsNotLostOrder(Story):
    number = 2
    title = "A lost answer is not a lost order"
    harm = "Network errors counted as 'no such order': live orders were given up, or sent again and filled twice."

    def arrange(self, stage: Stage) -> None:
        stage.venue.fault("hang", "POST", "^/v2/orders$", times=1, accept=True)
        stage.venue.fault("status", "GET", LOOK_UP, status=503, times=FAILED_LOOK_UPS)
        # A stream that told of the order would prove at once what only the look-ups shall prove here.
        stage.venue.fault("lose_frame", match={"symbol": stage.symbol})
        stage.broker("takes the order, and never answers; its stream says nothing of it either")
        stage.broker("then it fails when it is asked for the order by its name")
        stage.notes["posts"] = len(stage.venue.requests("POST", "/v2/orders"))
        stage.notes["looks"] = len(stage.venue.requests("GET", LOOK_UP))

    def act(self, stage: Stage) -> None:
        with impatience(ANSWER_SECONDS):
            status, orders = stage.submit({"symbol": stage.symbol, "side": "buy", "qty": "10"})
        stage.notes["order"] = orders[0]
        stage.software(f"submit_batch ends with status {status}; the order is {orders[0].submission_state}")

    def expect(self, stage: Stage) -> None:
        order = stage.settle(stage.notes["order"])
        stage.venue.clear()
        stage.follow(order, "filled")
        stage.repaired(f"found by its client_order_id: {order.client_order_id} is {order.status}")
        self._errors_proved_nothing(stage, order)
        there = stage.venue.orders_of(order.client_order_id)
        posts = len(stage.venue.requests("POST", "/v2/orders")) - stage.notes["posts"]
        stage.demand(len(there) == 1, f"{len(there)} orders of that name are at the broker")
        stage.demand(posts == 1, f"the order was sent {posts} times")
        stage.figure("times sent", posts)
        stage.is_sound()

    def _errors_proved_nothing(self, stage: Stage, order: Order) -> None:
        """The time-out made it unknown, the errors left it so, and only the answer made it known."""
        looks = [str(look["status"]) for look in stage.venue.requests("GET", LOOK_UP)[stage.notes["looks"] :]]
        failed = ["503"] * FAILED_LOOK_UPS
        stage.demand(looks[: len(failed) + 1] == [*failed, "200"], f"the look-ups were answered {', '.join(looks)}")
        told = list(OrderEvent.objects.filter(order=order).order_by("pk").values_list("kind", flat=True))
        fates = [word for word in told if word in FATES]
        stage.demand(fates == ["unconfirmed", "confirmed"], f"the order is told to have been {', '.join(fates)}")
        stage.figure("failed look-ups", len(failed))


class ThreeRunsChangeNothing(Story):
    number = 3
    title = "Doing it three times is doing it once"
    harm = "Each restart imported the same orders and fills again: positions were counted two and three times."

    def arrange(self, stage: Stage) -> None:
        stage.venue.by_hand(symbol=stage.symbol, side="buy", qty="10")
        stage.broker(f"somebody bought 10 {stage.symbol} in the app")
        stage.reconcile()

    def act(self, stage: Stage) -> None:
        stage.backfill()
        stage.notes["books"] = stage.books()

    def expect(self, stage: Stage) -> None:
        for again in ("once more", "and again", "and with the whole history"):
            stage.software(f"reads and repairs {again}")
            stage.reconcile(*(["--full"] if "whole" in again else []))
            stage.backfill()
            stage.demand(stage.books() == stage.notes["books"], f"the books changed when it was done {again}")
        fills = Fill.objects.filter(account=stage.account, symbol=stage.symbol).count()
        stage.demand(fills == 1, f"{fills} fills stand for one execution")
        stage.figure("fills booked", fills)
        stage.is_sound()


class OrderThatIsAliveIsNotDone(Story):
    number = 6
    title = "An order that is alive is not done because the books say so"
    harm = "A cancel that never arrived was booked as done; the next order was stacked on one that still could fill."

    def arrange(self, stage: Stage) -> None:
        # A frame about it that came late would put right by itself what is to be found.
        stage.venue.fault("lose_frame", match={"symbol": stage.symbol})
        order = stage.buy("10", wait="new", order_type="limit", limit_price="50", time_in_force="gtc")
        stage.notes["order"] = order
        stage.broker(f"an order for 10 {stage.symbol} at 50 is open")

    def act(self, stage: Stage) -> None:
        # What a program does that books a cancel before Alpaca confirmed it.
        Order.objects.filter(pk=stage.notes["order"].pk).update(status="canceled")
        stage.software("the books say canceled, as a faulty program left them")

    def expect(self, stage: Stage) -> None:
        run = stage.judge()
        stage.demand(stage.roots(run) == ["zombie_order"], f"found {stage.roots(run)} instead of a zombie")
        grave = [drift["severity"] for drift in run["drifts"] if drift["kind"] == "zombie_order"]
        stage.demand(set(grave) <= {"high", "critical"}, f"an order that can still fill is called {grave}")
        order = Order.objects.get(pk=stage.notes["order"].pk)
        stage.backfill()
        order.refresh_from_db()
        at_broker = stage.venue.order(order.broker_order_id)["status"]
        stage.repaired(f"here it is {order.status}, at Alpaca {at_broker}")
        stage.demand(order.status == at_broker, f"here it is {order.status}, at Alpaca {at_broker}")
        if at_broker == "new":
            stage.venue.api("DELETE", f"/v2/orders/{order.broker_order_id}")
            stage.follow(order, "canceled")
        stage.figure("open orders left", len(stage.venue.open_orders(stage.symbol)))
        stage.demand(not stage.venue.open_orders(stage.symbol), "an order is left open")
        stage.is_sound()
