"""The agent's own wheel, made from what is installed here and served to the hosts that will run it."""
