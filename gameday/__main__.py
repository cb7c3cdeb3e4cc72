"""Play the fifteen stories against a running demo, one by one: python -m gameday

Without a running demo one is started in a folder of its own and ended afterwards.
"""

import argparse
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gameday.demo import RunningDemo, find_demo, started_demo


def main() -> None:
    options = _options()
    try:
        with _demo(options.data_dir) as demo:
            _use(demo)
            from gameday.playing import Playing

            status = Playing(demo, pause=options.pause, waits=not options.no_wait).play(options.only or [])
    except (RuntimeError, TimeoutError) as error:
        sys.exit(f"The gameday could not be played: {error}")
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="gameday", description="Play fifteen failure stories against a demo.")
    parser.add_argument(
        "--data-dir", type=Path, default=Path(os.environ.get("DATA_DIR") or "var"), metavar="D",
        help="folder of the running demo (default: DATA_DIR, or var)",
    )  # fmt: skip
    parser.add_argument("--only", type=int, action="append", metavar="N", help="only this story; may be given again")
    parser.add_argument("--pause", type=float, metavar="S", help="seconds between stories, instead of Enter")
    parser.add_argument("--no-wait", action="store_true", help="go on without waiting for Enter")
    options = parser.parse_args()
    wrong = [number for number in options.only or [] if not 1 <= number <= 15]
    if wrong:
        parser.error(f"there are the stories 1 to 15, and no {wrong[0]}")
    return options


@contextmanager
def _demo(data_dir: Path) -> Iterator[RunningDemo]:
    running = find_demo(data_dir.resolve())
    if running is not None:
        yield running
        return
    print(f"No demo runs in {data_dir}: starting one in a folder of its own …", flush=True)
    with started_demo() as demo:
        yield demo


def _use(demo: RunningDemo) -> None:
    """The product's commands in this process work on the demo's installation."""
    os.environ["DATA_DIR"] = str(demo.data_dir)
    os.environ["DJANGO_SETTINGS_MODULE"] = "tradingsite.settings"
    import django

    django.setup()
    logging.disable(logging.CRITICAL)


if __name__ == "__main__":
    main()
