"""Analyses of the stored history: pure functions over polars frames, and the questions that read for them."""
