"""Diagnosis: what went wrong in an answer that nobody has seen before."""
