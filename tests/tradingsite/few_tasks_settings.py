"""The product's settings with workers that are recycled after two tasks."""

from tradingsite.settings import *  # noqa: F403
from tradingsite.settings import Q_CLUSTER

Q_CLUSTER["recycle"] = 2
