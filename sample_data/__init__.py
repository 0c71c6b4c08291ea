"""Everything synthetic: the demo provider, the traffic generator and a small data set.

Nothing here is used on real traffic, and nothing here needs a key or the network.
"""
