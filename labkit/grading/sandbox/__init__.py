"""The wall around a student's code, seen from outside."""

from labkit.grading.earlier_names import names_in

__getattr__ = names_in("labkit.grading.sandbox.box")
