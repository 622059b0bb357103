"""The same work on a Dask cluster: each worker process keeps a sandbox of its own.

A worker gets the solved notebook and the bytes of submissions; it needs labkit and the sandbox,
and no folder in common with anyone. Work of a worker that is lost goes to another one.
"""

import threading
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from distributed import Client

from labkit.grading.collecting.entries import Entry
from labkit.grading.course import course_from, course_key
from labkit.grading.judging.grader import Grader
from labkit.grading.judging.results import Record
from labkit.grading.judging.run import Seconds
from labkit.grading.sandbox.box import Kind

PATIENCE = 60.0  # seconds to find the scheduler, and one worker
RETRIES = 2


@dataclass(frozen=True)
class Job:
    """What a worker needs to grade: the same for the whole class.

    Attributes
    ----------
    lab : int
        Which lab.
    solved : str
        The solved notebook.
    seed : int
        What the secret inputs are drawn from.
    key : str
        `course_key` where the run was started: a worker with another labkit has another.
    kind : str
        Which sandbox.
    seconds : Seconds, optional
        Limits on wall time.
    leaderboard : bool
        Measure right answers to open exercises, too.
    """

    lab: int
    solved: str
    seed: int
    key: str
    kind: Kind
    seconds: Seconds | None
    leaderboard: bool = False


class Cluster:
    """Workers that grade.

    Parameters
    ----------
    address : str
        The scheduler's, such as "tcp://10.0.0.1:8786".
    job : Job
        What they are to do.

    Raises
    ------
    ValueError
        If there is no worker, or one has another labkit.
    SandboxError
        If the sandbox does not work on one of them.
    """

    def __init__(self, address: str, job: Job) -> None:
        self._job = job
        try:
            self._client = Client(address, timeout=PATIENCE)
            self._client.wait_for_workers(1, timeout=PATIENCE)
        except OSError as error:
            raise ValueError(
                f"no Dask scheduler with a worker answers at {address} ({error}); start them with "
                "`dask scheduler` and `dask worker ADDRESS`."
            ) from None
        # One that cannot work says so here, not once for every student.
        self._client.run(_prepare, job)
        self.threads = sum(self._client.nthreads().values())
        self._executor = self._client.get_executor(pure=False, retries=RETRIES)

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *exception: object) -> None:
        self._client.run(_forget, on_error="ignore")
        self._client.close()

    def submit(self, entry: Entry) -> "Future[Record]":
        """Have an entry graded."""
        return self._executor.submit(_grade, self._job, entry)


_lock = threading.Lock()
_graders: dict[Job, Grader] = {}


def _grade(job: Job, entry: Entry) -> Record:
    return _grader(job).grade(entry)


def _prepare(job: Job) -> None:
    _grader(job)


def _grader(job: Job) -> Grader:
    """Return this worker's grader; made when it is first asked for, since workers come and go."""
    with _lock:
        if job not in _graders:
            course = course_from(job.lab, job.solved)
            if course_key(course, job.seed) != job.key:
                raise ValueError(
                    "a worker has another labkit than the machine that grades; install the same "
                    f"one on both (the worker's lies in {Path(__file__).parents[1]})."
                )
            grader = Grader(
                course, job.seed, job.kind, seconds=job.seconds, leaderboard=job.leaderboard
            )
            _graders[job] = grader.__enter__()
        return _graders[job]


def _forget() -> None:
    with _lock:
        while _graders:
            _graders.popitem()[1].__exit__()
