"""The product's settings with two databases of the same shape, one with few rows and one with many."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from benchmarks.databases import ensure_database, server

if "BENCHMARK_DIR" not in os.environ:
    os.environ["BENCHMARK_DIR"] = tempfile.mkdtemp(prefix="benchmark-")  # for the processes of this one, too
    atexit.register(shutil.rmtree, os.environ["BENCHMARK_DIR"], ignore_errors=True)
FOLDER = Path(os.environ["BENCHMARK_DIR"])
FOLDER.mkdir(parents=True, exist_ok=True)
os.environ["DATA_DIR"] = str(FOLDER)
os.environ["ALPACA_ENV"] = "sim"
# Whatever this computer's own installation uses is not touched.
os.environ["DATABASE_URL"] = server() or f"sqlite:///{FOLDER / 'small.sqlite3'}"

from tradingsite.settings import *  # noqa: E402, F403
from tradingsite.settings import DATABASES  # noqa: E402

DATABASES["large"] = {**DATABASES["default"]}
for alias, name in {"default": "small", "large": "large"}.items():
    DATABASES[alias]["NAME"] = ensure_database(FOLDER, name)
DATABASE_ROUTERS = ["benchmarks.sizes.SizeRouter"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
