"""Policies: behaviour around a call, one file each; chain.py has their order."""
