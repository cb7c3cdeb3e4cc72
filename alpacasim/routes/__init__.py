"""The REST routes, one module for each part of Alpaca's API."""
