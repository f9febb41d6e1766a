"""A server's page at a moment of the past: the bar that chooses it, and what each tab shows of it."""
