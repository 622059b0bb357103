"""For kernels whose PYTHONSTARTUP this is: the labs on a tenth of the pictures.

nbval runs every lab, solved and unsolved, on all of them. What else is tried on a lab (other
answers, a browser) goes through the same cells, and need not wait for them as long. The network
that nobody here trained and the language model are not there either, as for a student who did not
install them.
"""

import os
from pathlib import Path

import numpy as np

from labkit import imagenet, zoo

_all_arrays = zoo._arrays


def _a_tenth(split):
    images, labels = _all_arrays(split)
    some = np.random.default_rng(0).permutation(len(images))[: len(images) // 10]
    return images[some], labels[some]


zoo._arrays = _a_tenth
imagenet.missing_packages = lambda: list(imagenet.PACKAGES)
os.environ["LABKIT_CACHE"] = str(Path(__file__).parent)  # no model is in this folder
