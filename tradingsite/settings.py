"""Every setting of an installation, from the environment. `.env.example` lists the variables.

On the embedded defaults all state lives in one folder, DATA_DIR: the SQLite file, the simulator's state and
the generated secret key.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from alerts.addresses import BadAddresses
from alerts.addresses import read as read_addresses
from tradingsite.environment import LOG_LEVELS, Environment
from tradingsite.installation import data_directory, secret_key
from tradingsite.postgresql import tuned

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment()
if (BASE_DIR / ".env").exists():
    env.read_file(BASE_DIR / ".env")

DATA_DIR = data_directory(env.text("DATA_DIR"), base=BASE_DIR)

DEBUG = env.switch("DEBUG")
SECRET_KEY = env.text("SECRET_KEY") or secret_key(DATA_DIR)
SECRET_KEY_FALLBACKS = env.names("SECRET_KEY_FALLBACKS", [])
ALLOWED_HOSTS = env.names("ALLOWED_HOSTS", ["127.0.0.1", "localhost", "[::1]"])

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "django_q",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "axes",
    "ui",
    "audit",
    "signin",
    "bookmarks",
    "work",
    "broker",
    "orders",
    "positions",
    "reconciliation",
    "alerts",
    "upkeep",
    "tradingsite",
]

MIDDLEWARE = [
    "work.middleware.CorrelationMiddleware",
    "tradingsite.response_headers.ResponseHeadersMiddleware",
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
    "ui.middleware.NullCharacterMiddleware",
    "signin.middleware.SessionAgeMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "signin.middleware.SecondFactorMiddleware",
    "signin.middleware.UploadLimitMiddleware",
    "axes.middleware.AxesMiddleware",
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
    # The usual 2 MB of pages in memory, and 4 MB of WAL before it is written back, are less than one page of a history
    # touches: the same pages of the indexes were written several times in one transaction.
    "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;"
    "PRAGMA cache_size=-16000;PRAGMA wal_autocheckpoint=4000;",
}
DATABASES = {"default": env.database("DATABASE_URL", f"sqlite:///{DATA_DIR / 'db.sqlite3'}")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = SQLITE_OPTIONS
    # To open it and to read its schema takes more than a millisecond, before each page and each task.
    DATABASES["default"]["CONN_MAX_AGE"] = 60
else:
    DATABASES["default"] = tuned(DATABASES["default"])
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# What is counted against strangers counts for all web processes together. django-q2 writes its figures twice a second:
# they stay in each process.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "shared_cache",
        # At the usual 300 a stranger who tries names by the hundred would push out what is counted against others.
        "OPTIONS": {"MAX_ENTRIES": 100_000, "CULL_FREQUENCY": 10},
    },
    "process": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    # Where Django's tag looks for it. A cause on the board takes some five thousand characters, an order's row two.
    "template_fragments": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "LOCATION": "fragments",
        "OPTIONS": {"MAX_ENTRIES": 3_000},
    },
}

# --- Queue --------------------------------------------------------------------------------------------------
# The order rows are the truth, django-q2 only delivers. queue_limit 1, because tasks that wait in a worker's
# memory age towards `retry` and would be delivered again; one alias, because a second one loses rows.
Q_BROKER = env.text("Q_BROKER", "orm")
Q_CLUSTER: dict[str, Any] = {
    "name": "trading",
    "workers": env.count("Q_WORKERS", 3),
    "queue_limit": 1,
    "bulk": 1,
    # So long a cluster rests when the queue is empty; on SQLite a write ends the rest: queue_brokers.OrmQueue.
    "poll": 0.2,
    "timeout": 600,
    "retry": 3000,
    "max_attempts": 3,
    "ack_failures": True,
    "catch_up": False,
    # For each function: what runs every minute pushes no other results out.
    "save_limit": 250,
    "save_limit_per": "func",
    "cache": "process",
    "time_zone": "America/New_York",
}
if Q_BROKER == "orm":
    Q_CLUSTER |= {"orm": "default", "broker_class": "tradingsite.queue_brokers.OrmQueue"}
elif Q_BROKER.startswith(("redis://", "rediss://")):
    Q_CLUSTER |= {"redis": Q_BROKER, "broker_class": "tradingsite.queue_brokers.RedisQueue"}
else:
    raise ImproperlyConfigured(f"Q_BROKER is 'orm' or a redis:// address, was {Q_BROKER!r}.")

# --- Broker -------------------------------------------------------------------------------------------------
# The default is the local simulator. Live money takes two keys: ALPACA_ENV=live and ALPACA_ALLOW_LIVE=1.
ALPACA_ENV = env.choice("ALPACA_ENV", {"sim", "paper", "live"}, "sim")
ALPACA_API_KEY = env.text("ALPACA_API_KEY")
ALPACA_SECRET_KEY = env.text("ALPACA_SECRET_KEY")
ALPACA_BASE_URL = env.address("ALPACA_BASE_URL", "http", "https")
ALPACA_STREAM_URL = env.address("ALPACA_STREAM_URL", "ws", "wss")
ALPACA_DATA_URL = env.address("ALPACA_DATA_URL", "http", "https")
ALPACA_ALLOW_LIVE = env.switch("ALPACA_ALLOW_LIVE")
BROKER_CONNECT_TIMEOUT = env.seconds("BROKER_CONNECT_TIMEOUT", 3.05)
BROKER_READ_TIMEOUT = env.seconds("BROKER_READ_TIMEOUT", 10)

# --- Sending and settling (seconds) -------------------------------------------------------------------------
ORDERS_IN_FLIGHT = env.count("ORDERS_IN_FLIGHT", 4)
# A claim without an answer for this long belongs to a dead worker: longer than any POST may take.
CLAIM_LEASE_SECONDS = env.seconds("CLAIM_LEASE_SECONDS", 30)
# One 404 is no proof: this many look-ups without a find, over at least this long, make "not placed".
NOT_PLACED_LOOKUPS = env.count("NOT_PLACED_LOOKUPS", 4)
NOT_PLACED_AFTER_SECONDS = env.seconds("NOT_PLACED_AFTER_SECONDS", 30)
# An order proven not placed is sent again, under the same client_order_id, only while it is this young.
RESEND_WITHIN_SECONDS = env.seconds("RESEND_WITHIN_SECONDS", 300)
# While a stream tells of it, an order just sent is asked for this seldom.
STREAMED_LOOK_SECONDS = env.seconds("STREAMED_LOOK_SECONDS", 10)
DEFAULT_SEND_TIME = env.wall_clock("DEFAULT_SEND_TIME", "08:00")  # New York

# --- Reconciliation (seconds) -------------------------------------------------------------------------------
SETTLING_DELAY_SECONDS = env.seconds("SETTLING_DELAY_SECONDS", 5)
QUIET_PERIOD_SECONDS = env.seconds("QUIET_PERIOD_SECONDS", 1)
CURSOR_OVERLAP_HOURS = env.seconds("CURSOR_OVERLAP_HOURS", 24)

# --- Alerts -------------------------------------------------------------------------------------------------
# Addresses hold secrets: they stay in this mapping, which shows names only, and come into no row, page or log.
try:
    ALERT_CHANNELS = read_addresses(env.text("ALERT_CHANNELS"), env.text("ALERT_CHANNELS_FILE"))
except BadAddresses as refusal:
    raise ImproperlyConfigured(f"ALERT_CHANNELS cannot be used: {refusal}.") from None
# Messages lead back to this address.
SITE_URL = env.address("SITE_URL", "http", "https") or "http://127.0.0.1:8000"
ALERT_APPROVAL_MINUTES = env.seconds("ALERT_APPROVAL_MINUTES", 15)

# --- People and pages ---------------------------------------------------------------------------------------
# An act on more things than this at once is confirmed by typing their number.
TYPE_COUNT_ABOVE = env.count("TYPE_COUNT_ABOVE", 10)
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "overview"
LOGOUT_REDIRECT_URL = "login"

# --- Sign-in (docs/sign-in.md) ------------------------------------------------------------------------------
# Approving, trading and the admin take a session that has shown a second factor.
REQUIRE_SECOND_FACTOR = env.switch("REQUIRE_SECOND_FACTOR")
SESSION_HOURS = env.count("SESSION_HOURS", 12)
SESSION_IDLE_MINUTES = env.count("SESSION_IDLE_MINUTES", 60)
SESSION_COOKIE_AGE = SESSION_HOURS * 3600
# How many proxies of our own stand before the web process: so many entries of X-Forwarded-For are true.
TRUSTED_PROXIES = env.count("TRUSTED_PROXIES", 0, least=0)
AUTHENTICATION_BACKENDS = [
    "signin.second_factor.SecondFactorBackend",
    "signin.lockout.LockOutBackend",
    "django.contrib.auth.backends.ModelBackend",
]
_VALIDATORS = "django.contrib.auth.password_validation"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"{_VALIDATORS}.UserAttributeSimilarityValidator", "OPTIONS": {"max_similarity": 0.6}},
    {"NAME": f"{_VALIDATORS}.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": f"{_VALIDATORS}.CommonPasswordValidator"},
    {"NAME": f"{_VALIDATORS}.NumericPasswordValidator"},
]
# Five failures from one address under one name; the journal and the shared limits below see the rest.
AXES_FAILURE_LIMIT = 5
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_TEMPLATE = "signin/locked_out.html"
AXES_CLIENT_IP_CALLABLE = "signin.client_address.counted_address"
AXES_USERNAME_CALLABLE = "signin.lockout.counted_name"
AXES_DISABLE_ACCESS_LOG = True  # the journal has the log-ins
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
ACCOUNT_ADAPTER = "signin.adapters.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = True
ACCOUNT_RATE_LIMITS = {
    "login": "60/m/ip",
    "login_failed": "20/m/ip,10/15m/key",  # of a name, and of a person's codes
    "reauthenticate": "10/m/user",
    "change_password": "5/m/user",
    "upload": "30/m/user,60/m/ip",
}
MFA_ADAPTER = "signin.adapters.SecondFactorAdapter"
MFA_FORMS = {
    "activate_totp": "signin.forms.SetUpCodesForm",
    "add_webauthn": "signin.forms.AddPasskeyForm",
    "login_webauthn": "signin.forms.PasskeyLogInForm",
    "authenticate_webauthn": "signin.forms.PasskeyForm",
    "reauthenticate_webauthn": "signin.forms.PasskeyConfirmForm",
}
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_TOTP_ISSUER = "Trading record"
MFA_TOTP_TOLERANCE = 1  # clocks of phones

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

HTTPS = env.switch("HTTPS")
SECURE_SSL_REDIRECT = HTTPS
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = 31536000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
# Every installation on this computer has its own cookie: two demos side by side do not log each other out.
SESSION_COOKIE_NAME = env.text("SESSION_COOKIE_NAME", "trading_session")
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"

DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
BATCH_FILE_MAX_BYTES = 1024 * 1024
BATCH_FILE_MAX_LINES = 2000

# --- Upkeep -------------------------------------------------------------------------------------------------
BACKUP_DIR = Path(env.text("BACKUP_DIR") or DATA_DIR / "backups")
BACKUPS_KEPT = env.count("BACKUPS_KEPT", 14)

# --- Logs (docs/observability.md) ---------------------------------------------------------------------------
# One way out for all lines, which leaves secrets out. Django's own handlers know none of it: they are taken off.
LOG_FORMAT = env.choice("LOG_FORMAT", {"text", "json"}, "text")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {"()": "tradingsite.log_output.text_lines"},
        "json": {"()": "tradingsite.log_output.JsonLines"},
    },
    "handlers": {"stderr": {"()": "tradingsite.log_output.CarefulHandler", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["stderr"], "level": env.choice("LOG_LEVEL", LOG_LEVELS, "WARNING")},
    "loggers": {
        "django": {"level": env.choice("LOG_LEVEL", LOG_LEVELS, "INFO")},
        "django.server": {"level": env.choice("LOG_LEVEL", LOG_LEVELS, "INFO")},
    }
    | {
        name: {"level": env.choice("LOG_LEVEL", LOG_LEVELS, "INFO")}
        for name in ("alerts", "broker", "orders", "positions", "reconciliation", "tradingsite", "upkeep", "work")
    },
}
