"""Every setting of an installation, from the environment. `.env.example` lists the variables.

On the embedded defaults all state lives in one folder, DATA_DIR: the SQLite file, the simulator's state and
the generated secret key.
"""

import os
import sys
from pathlib import Path

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from tradingsite.installation import data_directory, secret_key

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
if (BASE_DIR / ".env").exists():
    env.read_env(BASE_DIR / ".env")

DATA_DIR = data_directory(env.str("DATA_DIR", default=""), base=BASE_DIR)

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="") or secret_key(DATA_DIR)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "django_q",
    "ui",
    "audit",
    "work",
    "broker",
    "orders",
    "positions",
    "reconciliation",
    "tradingsite",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "ui.middleware.FragmentMiddleware",
]

ROOT_URLCONF = "tradingsite.urls"
WSGI_APPLICATION = "tradingsite.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "tradingsite.context.page_frame",
            ],
        },
    },
]

# --- Database -----------------------------------------------------------------------------------------------
# SQLite, measured: IMMEDIATE makes a writer wait at BEGIN instead of failing in the middle; WAL lets readers
# read meanwhile; FULL syncs each commit, because an order must not be forgotten after a power cut. The wait
# outlasts any lock that we have seen a healthy program hold. A page never waits: no ATOMIC_REQUESTS.
SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 60,
    "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;",
}
DATABASES = {"default": env.db("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'db.sqlite3'}")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = SQLITE_OPTIONS
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Queue --------------------------------------------------------------------------------------------------
# The order rows are the truth, django-q2 only delivers. queue_limit 1, because tasks that wait in a worker's
# memory age towards `retry` and would be delivered again; one alias, because a second one loses rows.
Q_BROKER = env.str("Q_BROKER", default="orm")
Q_CLUSTER = {
    "name": "trading",
    "workers": env.int("Q_WORKERS", default=3),
    "queue_limit": 1,
    "bulk": 1,
    "poll": 0.2,
    "timeout": 600,
    "retry": 3000,
    "max_attempts": 3,
    "ack_failures": True,
    "catch_up": False,
    "save_limit": 250,
    "time_zone": "America/New_York",
}
if Q_BROKER == "orm":
    Q_CLUSTER["orm"] = "default"
elif Q_BROKER.startswith(("redis://", "rediss://")):
    Q_CLUSTER["redis"] = Q_BROKER
else:
    raise ImproperlyConfigured(f"Q_BROKER is 'orm' or a redis:// address, was {Q_BROKER!r}.")

# --- Broker -------------------------------------------------------------------------------------------------
# The default is the local simulator. Live money takes two keys: ALPACA_ENV=live and ALPACA_ALLOW_LIVE=1.
ALPACA_ENV = env.str("ALPACA_ENV", default="sim")
if ALPACA_ENV not in {"sim", "paper", "live"}:
    raise ImproperlyConfigured(f"ALPACA_ENV is sim, paper or live, was {ALPACA_ENV!r}.")
ALPACA_API_KEY = env.str("ALPACA_API_KEY", default="")
ALPACA_SECRET_KEY = env.str("ALPACA_SECRET_KEY", default="")
ALPACA_BASE_URL = env.str("ALPACA_BASE_URL", default="")
ALPACA_STREAM_URL = env.str("ALPACA_STREAM_URL", default="")
ALPACA_DATA_URL = env.str("ALPACA_DATA_URL", default="")
ALPACA_ALLOW_LIVE = env.bool("ALPACA_ALLOW_LIVE", default=False)
BROKER_CONNECT_TIMEOUT = env.float("BROKER_CONNECT_TIMEOUT", default=3.05)
BROKER_READ_TIMEOUT = env.float("BROKER_READ_TIMEOUT", default=10)

# --- Sending and settling (seconds) -------------------------------------------------------------------------
ORDERS_IN_FLIGHT = env.int("ORDERS_IN_FLIGHT", default=4)
# A claim without an answer for this long belongs to a dead worker: longer than any POST may take.
CLAIM_LEASE_SECONDS = env.float("CLAIM_LEASE_SECONDS", default=30)
# One 404 is no proof: this many look-ups without a find, over at least this long, make "not placed".
NOT_PLACED_LOOKUPS = env.int("NOT_PLACED_LOOKUPS", default=4)
NOT_PLACED_AFTER_SECONDS = env.float("NOT_PLACED_AFTER_SECONDS", default=30)
# An order proven not placed is sent again, under the same client_order_id, only while it is this young.
RESEND_WITHIN_SECONDS = env.float("RESEND_WITHIN_SECONDS", default=300)
DEFAULT_SEND_TIME = env.str("DEFAULT_SEND_TIME", default="08:00")  # New York

# --- Reconciliation (seconds) -------------------------------------------------------------------------------
SETTLING_DELAY_SECONDS = env.float("SETTLING_DELAY_SECONDS", default=5)
QUIET_PERIOD_SECONDS = env.float("QUIET_PERIOD_SECONDS", default=1)
CURSOR_OVERLAP_HOURS = env.float("CURSOR_OVERLAP_HOURS", default=24)

# --- People and pages ---------------------------------------------------------------------------------------
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "overview"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LANGUAGE_CODE = "en-us"
TIME_ZONE = "America/New_York"
USE_TZ = True
USE_I18N = False

STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
WHITENOISE_USE_FINDERS = True

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
        "base-uri": [NONE],
        "object-src": [NONE],
    }
}

HTTPS = env.bool("HTTPS", default=False)
SECURE_SSL_REDIRECT = HTTPS
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = 31536000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
# Every installation on this computer has its own cookie: two demos side by side do not log each other out.
SESSION_COOKIE_NAME = env.str("SESSION_COOKIE_NAME", default="trading_session")
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"

DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
BATCH_FILE_MAX_BYTES = 1024 * 1024
BATCH_FILE_MAX_LINES = 2000

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "stream": sys.stderr, "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": os.environ.get("LOG_LEVEL", "WARNING")},
    "loggers": {
        name: {"level": os.environ.get("LOG_LEVEL", "INFO")}
        for name in ("broker", "orders", "positions", "reconciliation", "tradingsite")
    },
}
