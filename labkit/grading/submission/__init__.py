"""What students hand in, read: any bytes become cells, each with its part."""

from labkit.grading.earlier_names import names_in

__getattr__ = names_in("labkit.grading.submission.reading")
