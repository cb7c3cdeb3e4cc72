"""A stand-alone, stateful, Alpaca-compatible paper venue for loopback use.

It imports nothing of the dashboard, and the dashboard reaches it only through HTTP and WebSocket.
"""
