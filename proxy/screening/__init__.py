"""Screening: what stands in a text that should not, and how it is masked or held back."""
