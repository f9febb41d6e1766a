"""What was just committed, to whoever watches: the hub, the fleet's state, and the people's WebSockets."""
