"""A process that answers requests and is not confined: for a student's own notebook.

python -I plain.py '["folder of the course"]'
"""

import json
import os
import sys


def main(paths: list[str]) -> None:
    """Answer requests from standard input until there are no more."""
    sys.path[:0] = paths
    sys.path.append(os.getcwd())
    from labkit.grading.inside import answers

    requests, replies = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(null, descriptor)
    answers.serve(requests, replies)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
