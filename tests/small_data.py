"""For kernels whose PYTHONSTARTUP this is: the labs on few of the pictures.

nbval runs every lab, solved and unsolved, on all of them. What else is tried on a lab (other
answers, a browser) goes through the same cells, and need not wait for them as long. The network
that nobody here trained and the language model are not there either, as for a student who did not
install them.
"""

import os
from pathlib import Path

import numpy as np

from labkit import imagenet, zoo

KEPT = {"calibration": 520, "test": 200}  # of 10,000 each
_all_arrays = zoo._arrays


def _few(split):
    images, labels = _all_arrays(split)
    some = np.random.default_rng(0).permutation(len(images))[: KEPT[split]]
    return images[some], labels[some]


zoo._arrays = _few
imagenet.missing_packages = lambda: list(imagenet.PACKAGES)
os.environ["LABKIT_CACHE"] = str(Path(__file__).parent)  # no model is in this folder
