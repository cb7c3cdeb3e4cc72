"""The product's settings with two databases of the same shape, one with few rows and one with many."""

import os
import tempfile
from pathlib import Path

FOLDER = Path(os.environ.get("BENCHMARK_DIR") or tempfile.mkdtemp(prefix="tradingsite-benchmark-"))
FOLDER.mkdir(parents=True, exist_ok=True)
os.environ["DATA_DIR"] = str(FOLDER)
os.environ["ALPACA_ENV"] = "sim"

from tradingsite.settings import *  # noqa: E402, F403
from tradingsite.settings import DATABASES  # noqa: E402

DATABASES["default"]["NAME"] = str(FOLDER / "small.sqlite3")
DATABASES["large"] = {**DATABASES["default"], "NAME": str(FOLDER / "large.sqlite3")}
DATABASE_ROUTERS = ["benchmarks.sizes.SizeRouter"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
