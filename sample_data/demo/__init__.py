"""The demo provider's parts: what it says, how each provider would word it, and how it fails.

`server` owns the sockets; everything else is plain computation on values.
"""
