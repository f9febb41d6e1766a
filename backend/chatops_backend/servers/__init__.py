"""Watched servers, the keys of their agents, and when those connected."""
