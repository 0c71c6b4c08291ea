"""Reports: a question about the bill in, polars frames out; one file each.

Owns nothing itself. A report takes an open store, a selection and, where it needs prices, a price
book; its docstring gives the columns and the method. `shown/` is how each is asked for and shown
on the command line.

All frames keep the rules of analytics/queries. Money is Decimal, and what is said to add up adds
up to the last digit. What has no price is never counted as nothing: a column or a frame says how
many exchanges a figure leaves out.
"""

from __future__ import annotations
