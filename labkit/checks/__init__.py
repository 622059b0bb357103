"""Exercises and their checks: one file a lab, and the machinery that runs them."""
