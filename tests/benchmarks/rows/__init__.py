"""Rows that take no time, as the frame runs them."""
