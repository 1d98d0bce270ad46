"""Normal directions that fill space more evenly than independent ones."""

import math
from functools import lru_cache

import torch
from torch import Tensor

# Bits of a point's coordinates; float32 keeps 24 of them near one half and all of them near 0.
BITS = 30

# Points come in random order within aligned blocks of this many, in each of which any two of the coordinates used have
# equal signs half of the time. Others do not: coordinates 0 and 11 have equal signs in all of the first 32 points, so
# that one sample would look like 32; and so would parts of a block in the sequence's own order.
BLOCK = 32
COORDINATES = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 16, 26, 27, 32)


@lru_cache(maxsize=8)
def _sobol_points(count: int, dimensions: int) -> Tensor:
    """The first points of the Sobol sequence as integers of BITS bits [count, dimensions]."""
    points = torch.quasirandom.SobolEngine(COORDINATES[-1] + 1).draw(count, dtype=torch.float64)
    return (points[:, COORDINATES[:dimensions]] * 2**BITS).to(torch.int32)


def shifted_sobol_normals(count: int, dimensions: int, generator: torch.Generator) -> Tensor:
    """Standard normal points [count, dimensions], float32, from a Sobol sequence with a random digital shift.

    At most as many dimensions as there are `COORDINATES`.

    Every point by itself is standard normal, and points of different shifts are independent; those of one shift are
    spread evenly, so that averages over them vary less than over independent points for functions that are not too
    rough (Owen 1997; L'Ecuyer and Lemieux 2002). The first n points are whole blocks of `BLOCK` points and a random
    part of the next block, so that a test may look at any n.
    """
    whole = -(-count // BLOCK) * BLOCK
    order = torch.rand(whole // BLOCK, BLOCK, generator=generator).argsort(1) + torch.arange(0, whole, BLOCK)[:, None]
    points = _sobol_points(whole, dimensions)[order.flatten()[:count]]
    shift = torch.randint(2**BITS, (dimensions,), generator=generator, dtype=torch.int32)
    # Centres of the cells [0, 1) is divided into, as 2u - 1.
    uniform = ((points ^ shift).float() + 0.5) * 2.0 ** (1 - BITS) - 1
    largest = 1 - 2.0**-24
    return torch.erfinv(uniform.clamp(-largest, largest)) * math.sqrt(2)
