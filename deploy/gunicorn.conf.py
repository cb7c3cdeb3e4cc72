"""For those who start gunicorn by themselves: `gunicorn -c deploy/gunicorn.conf.py tradingsite.wsgi`.

`manage.py web` serves with the very same settings; the systemd unit uses that.
"""

import os

from tradingsite.gunicorn_server import gunicorn_settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingsite.settings")

bind = ["127.0.0.1:8000"]
globals().update(gunicorn_settings(workers=2))
