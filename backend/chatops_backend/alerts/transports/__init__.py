"""Ways of handing a notification over, one file each, and what they may connect to. Used by the notifier and by tests
of a channel."""
