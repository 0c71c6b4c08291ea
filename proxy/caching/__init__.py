"""What the cache policy is made of: keys of requests, kept answers, and what means the same."""
