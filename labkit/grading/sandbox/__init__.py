"""The wall around a student's code, seen from outside."""
