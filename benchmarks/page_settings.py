"""The product's settings with pages more: an empty one, an empty one in the product's frame, and one that forgets."""

from tradingsite.settings import *  # noqa: F403

ROOT_URLCONF = "benchmarks.page_urls"
