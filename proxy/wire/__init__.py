"""Framings that several dialects share: sans-io, without a notion of any provider."""
