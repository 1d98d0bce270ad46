import itertools
import time

import numpy as np
import pytest

from pipeline.costs.schedule import critical_path, makespan


def random_jobs(seed, count=7):
    generator = np.random.default_rng(seed)
    after = [tuple(int(i) for i in range(job) if generator.random() < 0.3) for job in range(count)]
    return generator.uniform(1, 5, count).tolist(), after


def chains(after):
    """Every path through the jobs, by brute force."""
    count = len(after)
    for size in range(1, count + 1):
        for chain in itertools.combinations(range(count), size):
            if all(first in after[second] for first, second in itertools.pairwise(chain)):
                yield chain


@pytest.mark.parametrize("seed", range(10))
def test_the_critical_path_is_the_longest_chain(seed):
    seconds, after = random_jobs(seed)
    longest = max(sum(seconds[job] for job in chain) for chain in chains(after))
    assert critical_path(seconds, after) == pytest.approx(longest)
    # Several draws at once.
    both = np.column_stack([seconds, np.multiply(seconds, 2)])
    assert critical_path(both, after) == pytest.approx([longest, 2 * longest])


@pytest.mark.parametrize("cores", [1, 2, 3, 7])
@pytest.mark.parametrize("seed", range(10))
def test_a_schedule_keeps_grahams_bounds(seed, cores):
    seconds, after = random_jobs(seed)
    chain, work = float(critical_path(seconds, after)), sum(seconds)
    length = makespan(seconds, after, [1] * len(seconds), cores)
    assert max(chain, work / cores) <= length + 1e-9
    # Graham 1966: idle cores wait for a job of one chain.
    assert length <= work / cores + chain * (1 - 1 / cores) + 1e-9
    if cores == 1:
        assert length == pytest.approx(work)
    if cores == 7:
        assert length == pytest.approx(chain)


def test_jobs_without_order_fill_the_cores():
    assert makespan([2.0] * 7, [()] * 7, [1] * 7, 3) == 6.0
    # Two cores each: one at a time on three.
    assert makespan([2.0] * 3, [()] * 3, [2] * 3, 3) == 6.0
    # More than there are: all of them.
    assert makespan([2.0], [()], [8], 3) == 2.0


def test_one_gpu_is_held_by_one_job():
    assert makespan([2.0] * 4, [()] * 4, [1] * 4, 4, [1, 1, 0, 0], 1) == 4.0


def test_nothing_takes_no_time():
    assert makespan([], [], [], 2) == 0
    assert critical_path([], []) == 0


def test_many_jobs_that_wait_for_one_gpu_are_placed_in_seconds():
    count = 10_000
    start = time.process_time()
    assert makespan([1.0] * count, [()] * count, [1] * count, 64, [1] * count, 1) == count
    # 0.2 s; a minute where every waiting job is looked at whenever one ends.
    assert time.process_time() - start < 10
