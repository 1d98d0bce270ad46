"""Seeds that depend on the global seed and on what they are for, and on nothing else."""

import hashlib


def seed_for(global_seed: int, *path: str | int) -> int:
    """A seed in [0, 2**63) for one cell of the workflow.

    The same (global seed, path) gives the same seed on every machine and in every Python process, and
    adding a cell changes no other cell's seed (which a running counter would).

    Args:
        global_seed: the configuration's `seed`.
        path: what the seed is for, e.g. ("attack", "mnist5k", "fc-100", "igsm").

    Raises:
        ValueError: if `path` is empty.
    """
    if not path:
        raise ValueError("a seed needs a path that says what it is for, found none")
    # The separator cannot occur in names, so ("a", "b") and ("ab",) differ.
    text = "\x1f".join([str(int(global_seed)), *map(str, path)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1
