"""Calls as policies see them: what they ask for, where they may go, what came of a step."""
