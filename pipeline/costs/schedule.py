"""How long jobs that wait for each other take on so many cores."""

import heapq
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def critical_path(seconds: ArrayLike, after: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """Length of the longest chain of jobs: what no number of cores makes shorter.

    Args:
        seconds: of each job [jobs] or [jobs, draws]. after: positions of the jobs that each waits for, all before it.

    Returns:
        Seconds, a number or [draws].
    """
    end = np.array(seconds, float)
    for job, before in enumerate(after):
        if before:
            end[job] += end[list(before)].max(0)
    return np.asarray(end.max(0) if len(end) else 0.0)


def makespan(
    seconds: Sequence[float],
    after: Sequence[Sequence[int]],
    threads: Sequence[int],
    cores: int,
    gpus: Sequence[int] = (),
    gpu_limit: int | None = None,
) -> float:
    """Seconds until all jobs are done, where the one with the longest chain behind it starts first.

    List scheduling: at most twice as long as the best there is, for jobs of one core (Graham 1969).

    Args:
        seconds, after: of each job, as for `critical_path`. threads: cores that each takes, at most all.
        gpus, gpu_limit: GPUs that each takes and how many there are; None for no limit.
    """
    count = len(seconds)
    taken = list(gpus) if gpu_limit is not None and gpus else [0] * count
    free = [cores, gpu_limit or 0]
    behind: list[list[int]] = [[] for _ in range(count)]
    waits = [len(before) for before in after]
    for job, before in enumerate(after):
        for other in before:
            behind[other].append(job)
    urgency = [0.0] * count
    for job in reversed(range(count)):
        urgency[job] = seconds[job] + max((urgency[next_] for next_ in behind[job]), default=0.0)
    needs = [(min(threads[job], cores), min(taken[job], gpu_limit or 0)) for job in range(count)]
    # One queue for each need, since where the first of a queue does not fit none behind it does.
    ready: dict[tuple[int, int], list[tuple[float, int]]] = {need: [] for need in set(needs)}
    for job in range(count):
        if not waits[job]:
            heapq.heappush(ready[needs[job]], (-urgency[job], job))
    running: list[tuple[float, int]] = []
    now = 0.0
    while any(ready.values()) or running:
        while fitting := [
            queue for need, queue in ready.items() if queue and need[0] <= free[0] and need[1] <= free[1]
        ]:
            job = heapq.heappop(min(fitting))[1]
            free[0] -= needs[job][0]
            free[1] -= needs[job][1]
            heapq.heappush(running, (now + seconds[job], job))
        now, job = heapq.heappop(running)
        free[0] += needs[job][0]
        free[1] += needs[job][1]
        for next_ in behind[job]:
            waits[next_] -= 1
            if not waits[next_]:
                heapq.heappush(ready[needs[next_]], (-urgency[next_], next_))
    return now
