"""The product's settings with what a test run needs: a private folder, fast passwords, no shared file."""

import os
import tempfile

os.environ.setdefault("DATA_DIR", tempfile.mkdtemp(prefix="tradingsite-tests-"))
os.environ["ALPACA_ENV"] = "sim"

from tradingsite.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
