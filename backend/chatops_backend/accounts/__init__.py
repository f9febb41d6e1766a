"""People: their accounts, log-ins and sessions, and who may call which route."""
