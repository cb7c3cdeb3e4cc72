"""The product's settings with two pages more: an empty one, and an empty one in the product's frame."""

from tradingsite.settings import *  # noqa: F403

ROOT_URLCONF = "benchmarks.page_urls"
