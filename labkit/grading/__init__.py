"""Releasing labs and grading what comes back."""
