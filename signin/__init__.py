"""Who a person is: log-in, second factor, lock-out, and how long a session lasts."""
