"""Trace classes along lines between images while dropout is on, one mask a line (Bell, section 18)."""

from dataclasses import asdict

import numpy as np
import torch

from neighborhoods.boundary.dropout import (
    Lines,
    Normality,
    fitted_density,
    normality,
    trace_lines,
)
from neighborhoods.boundary.lines import natural_lines
from neighborhoods.images import to_unit_interval
from neighborhoods.networks.architectures import restore
from neighborhoods.statistics.intervals import share, summarize
from pipeline.results.shared import put_summaries, read_network, read_split, read_successes
from pipeline.running.devices import halving
from pipeline.store import Provenance, StoreError, Writer, writing

CHANGES = {
    "line": "line of each change of class",
    "mask": "mask of each change of class",
    "place": "where on the line it lies, 0 to 1",
    "before": "class before it",
    "after": "class behind it",
    "first": "whether it is the first of its line and mask",
}
SHARES = {
    "third": "share of masks whose line meets a class that the network without dropout gives to neither end",
    "between": "share of masks whose line meets a class that the same mask gives to neither end",
}


def trace(
    *,
    data: str,
    model: str,
    attack: str,
    output: str,
    lines: int,
    masks: int,
    points: int,
    batch_size: int,
    confidence: float,
    line_seed: int,
    seed: int,
    provenance: Provenance,
    device: str = "cpu",
) -> None:
    """Write natural/ and adversarial/: classes [line, mask, point], places of their changes, shares and normality.

    They follow the first lines of the stage `boundary`: between correctly classified test images of different classes,
    and from attacked to adversarial images.
    """
    split, successes = read_split(data, "test"), read_successes(attack, lines, line_seed)
    if not len(successes.rows):
        raise StoreError(f"{attack}: no attack succeeded, so there is no line to follow")
    stored = read_network(model)
    network = restore(stored.settings, stored.weights, device)
    images = to_unit_interval(split.images, device)
    natural = natural_lines(network, images, split.labels, split.order, successes.attacked, lines)
    if not len(natural):
        raise StoreError(f"{model}: expected two test images of different classes that it gets right, found none")
    attacked, adversarial = (to_unit_interval(part, device) for part in (successes.x, successes.x_adv))
    groups = {
        "natural": (natural.cpu().numpy(), images[natural[:, 0]], images[natural[:, 1]]),
        "adversarial": (successes.index, attacked, adversarial),
    }
    with writing(output, provenance) as file:
        file.put("classes", split.classes, "name of each class", ("class",))
        file.put("masks", masks, "masks, the same for every line", ())
        for name, (index, first, last) in groups.items():
            traced = halving(trace_lines)(
                network, first, last, masks=masks, points=points, batch_size=batch_size, seed=seed
            )
            text = "position in the test split of the start, or of both ends"
            file.put(f"{name}/index", index, text, ("line", "end")[: index.ndim])
            _put(file, name, traced, confidence, seed)


def _put(file: Writer, group: str, traced: Lines, confidence: float, seed: int) -> None:
    file.put(f"{group}/t", traced.t, "0 at the start, 1 at the end of each line", ("point",))
    classes = traced.classes.to(torch.int16)
    file.put(f"{group}/classes", classes, "class of each point under each mask", ("line", "mask", "point"))
    file.put(f"{group}/plain", traced.plain, "class of each point without dropout", ("line", "point"))
    file.put(f"{group}/order", traced.order(), "masks by the place of their first change", ("line", "mask"))
    for name, text in CHANGES.items():
        file.put(f"{group}/{name}", getattr(traced, name), text, ("change",))
    for name, text in SHARES.items():
        shares = [asdict(share(hits, confidence)) for hits in getattr(traced, name).numpy()]
        put_summaries(file, f"{group}/{name}", shares, text, "1", ("line",))
    counts = [asdict(summarize(row, None, confidence, seed)) for row in traced.changes_per_mask().numpy()]
    put_summaries(file, f"{group}/changes", counts, "changes of a mask", "1", ("line",))
    for kind in ("first", "all"):
        tests = []
        for line in range(len(traced.plain)):
            chosen = (traced.line == line) & (traced.first | (kind == "all"))
            tests.append(normality(traced.place[chosen], traced.mask[chosen], confidence, seed))
        _put_tests(file, f"{group}/normality/{kind}", tests, f"{kind} places of a line")


def _put_tests(file: Writer, group: str, tests: list[Normality], what: str) -> None:
    rows = [asdict(test) for test in tests]
    rows = [row.pop("summary") | row for row in rows]
    put_summaries(file, group, rows, what, "1", ("line",))
    curves = [fitted_density(test) for test in tests]
    file.put(f"{group}/at", curves[0][0], "places of the density", ("curve",))
    file.put(f"{group}/density", np.stack([curve for _, curve in curves]), "fitted normal density", ("line", "curve"))


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        trace(
            data=snakemake.input.data,
            model=snakemake.input.model,
            attack=snakemake.input.attack,
            output=snakemake.output[0],
            device=run.device,
            provenance=run.provenance,
            **run.settings,
        )
