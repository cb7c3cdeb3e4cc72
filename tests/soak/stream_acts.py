"""The stream tells of orders: whole, doubled, out of order, late, or only in part. The sweeps must make it good."""

import time
from random import Random

from django.utils import timezone

from broker.errors import UnreadableAnswer
from broker.gateway import open_gateway
from broker.mapping import parse_json, to_order
from broker.stream import Update
from orders.streaming import Streaming
from tests.soak.acts import act
from tests.soak.virtual import TIME
from tests.soak.world import World


@act(10)
def the_stream_tells(world: World, random: Random) -> str:
    how = random.choice(["in order", "in order", "doubled", "out of order", "with losses", "late"])
    frames = world.exchange.frames
    if how == "late" or not frames:
        return f"the stream holds {len(frames)} frames back"
    world.exchange.frames = []
    if how == "doubled":
        frames = [frame for frame in frames for _ in range(2)]
    elif how == "out of order":
        random.shuffle(frames)
    elif how == "with losses":
        frames = [frame for frame in frames if random.random() < 0.6]
    updates = [_update(frame) for frame in frames]
    streaming = _follower(world)
    burst = random.choice([1, 3, 100])
    said = [
        world.attempt(lambda part=updates[at : at + burst]: streaming.take(part, timezone.now()))  # type: ignore[misc]
        for at in range(0, len(updates), burst)
    ]
    for _ in range(random.choice([0, 1, 4])):
        TIME.advance(1)
        said.append(world.attempt(lambda: _follower(world).look_again(timezone.now())))
    return "; ".join([f"the stream tells {len(updates)} frames {how}", *dict.fromkeys(filter(None, said))])


def _update(frame: str) -> Update:
    data = parse_json(frame)
    if not isinstance(data, dict):
        raise UnreadableAnswer("An update of the stream names no event.")
    return Update(timezone.now(), data["event"], to_order(data["order"]))


def _follower(world: World) -> Streaming:
    """What it remembers dies with the process."""
    if world.follower is None or world.follower[0] != world.process.number:
        account = world.read_afresh()
        follower = Streaming(account=account, open_gateway=lambda: open_gateway(account), clock=time.monotonic)
        world.follower = (world.process.number, follower)
    return world.follower[1]
