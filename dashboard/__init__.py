"""The dashboard: what the store knows, to look at. Depends on analytics only."""
