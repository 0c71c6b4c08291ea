"""Rules: what the user writes to configure policies. Data, conditions and their checks."""
