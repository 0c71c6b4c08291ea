"""Limits: what is used and held, whose it is, what it costs, and what was spent before."""
