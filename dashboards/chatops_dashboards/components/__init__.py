"""Pieces of pages: functions from data to Dash components."""
