"""Compare which images networks trained in two ways are sure of, and which ones their logits put together (Seguin)."""

from collections.abc import Mapping

import numpy as np
import torch

from neighborhoods.images import to_samples
from neighborhoods.logits import confidence_ranks
from neighborhoods.logits.distributions import of_kind
from neighborhoods.logits.nearest import nearest_by_logits
from neighborhoods.statistics.crossed import crossed
from pipeline.results.logits import APART, PAIRS, TEACHERS, put_crossed, put_images, read_outputs
from pipeline.results.shared import PIXELS, Split, read_split
from pipeline.store import Provenance, StoreError, Writer, writing

# Pixels on each side; what lies in this frame is what surrounds an image's object, where enough is left inside.
FRAME = 4
LIKENESS = {
    "same_class": "share of the nearest that have the query's class",
    "log_distance": "ln of the nearest images' pixel distance over that of the query's class",
}


def compare(
    *,
    data: str,
    standard: str,
    adversarial: str,
    output: str,
    teacher_epoch: Mapping[str, int],
    shown_class: int,
    shown: int,
    queries: int,
    neighbours: int,
    confidence: float,
    seed: int,
    provenance: Provenance,
) -> None:
    """Write ranks/, far/, border/ (of images large enough), corners/ and nearest/, of test images.

    Args:
        data: the images. standard, adversarial: outputs of the networks.
        teacher_epoch: by way of training, the epoch whose checkpoint stands for it.
        shown_class: class whose images are shown by both ranks of confidence. shown: images of each kind shown.
        queries: images whose neighbours are looked at, the first of the split's order. neighbours: of each.
    """
    outputs = read_outputs({"standard": standard, "adversarial": adversarial}, teacher_epoch, ["test"])
    split = read_split(data, "test")
    if not np.array_equal(split.labels, outputs["standard"].label["test"]):
        raise StoreError(f"{standard}: holds outputs for other test images than {data}")
    if not 0 <= shown_class < len(split.classes):
        raise StoreError(f"{data}: expected a class to show of 0 to {len(split.classes) - 1}, found {shown_class}")
    logits = {name: outputs[name].at("test", teacher_epoch[name]) for name in TEACHERS}
    with writing(output, provenance) as file:
        file.put("label", split.labels, "true class of each test image", ("image",))
        file.put("classes", split.classes, "name of each class", ("class",))
        file.put("shown_class", shown_class, "class whose images are shown", ())
        _ranks(file, logits, split, shown_class, shown, confidence, seed)
        _nearest(file, logits, split, split.order[:queries], neighbours, shown, confidence)


def _ranks(
    file: Writer,
    logits: Mapping[str, np.ndarray],
    split: Split,
    shown_class: int,
    shown: int,
    confidence: float,
    seed: int,
) -> None:
    sure = {name: confidence_ranks.confidence(values) for name, values in logits.items()}
    ranks = {name: confidence_ranks.ranks_within(values, split.labels) for name, values in sure.items()}
    mean_ranks = {name: values.mean(0) for name, values in ranks.items()}
    for name, values in ranks.items():
        text = "rank of confidence within the class, 0 the least and 1 the most sure"
        file.put(f"ranks/{name}", values, text, ("seed", "image"))
        file.put(f"ranks/mean/{name}", mean_ranks[name], f"mean over seeds of the {text}", ("image",))
    far_first = confidence_ranks.far_apart(ranks["adversarial"][0], ranks["standard"][0])
    file.put("ranks/far", far_first, "whether the ranks of the first seeds lie far apart", ("image",))
    file.put("ranks/far_limit", confidence_ranks.FAR, "difference of ranks that lie far apart", ())
    far = confidence_ranks.far_shares(sure, split.labels, seed=seed)
    for pair, found in far.items():
        text = f"share of images whose ranks lie more than half of the range apart, {PAIRS[pair]}"
        put_crossed(file, f"far/{pair}", found.estimate(confidence, 0, 1), text)
    for first, second in APART:
        text = f"share of images whose ranks lie far apart, {first} less {second} pairs"
        put_crossed(file, f"far/{first}_less_{second}", (far[first] - far[second]).estimate(confidence), text)
    if split.images.ndim == 4 and min(split.images.shape[2:]) > 2 * FRAME:
        spread = confidence_ranks.border_spread(to_samples(split.images).numpy(), FRAME)
        text = f"standard deviation of the pixels of a frame of {FRAME} pixels around the image"
        file.put("border/spread", spread, text, ("image",), PIXELS)
        related = {
            name: crossed(confidence_ranks.rank_relations(values, spread, split.labels), of_kind(name, len(values)))
            for name, values in ranks.items()
        }
        text = "rank correlation, within classes, of confidence and the spread of the border's pixels"
        for name, one in related.items():
            put_crossed(file, f"border/{name}", one.estimate(confidence, -1, 1), f"{text}, {name} training")
        apart = related["adversarial"] - related["standard"]
        put_crossed(file, "border/difference", apart.estimate(confidence), f"{text}, adversarial less standard")
    rows = np.flatnonzero(split.labels == shown_class)
    first, second = (mean_ranks[name][rows] for name in ("adversarial", "standard"))
    for name, chosen in confidence_ranks.corners(first, second, shown).items():
        text = f"test images of the class shown, {name} by the mean ranks over seeds"
        file.put(f"corners/{name}/index", rows[chosen], text, ("image",))
        put_images(file, f"corners/{name}", split.images[rows[chosen]], ("image",), text)


def _nearest(
    file: Writer,
    logits: Mapping[str, np.ndarray],
    split: Split,
    query: np.ndarray,
    neighbours: int,
    shown: int,
    confidence: float,
) -> None:
    x, label, rows = to_samples(split.images), torch.from_numpy(split.labels), torch.from_numpy(query)
    # The first query of each class, in their order.
    examples = np.sort(np.unique(split.labels[query], return_index=True)[1])[:shown]
    file.put("nearest/query", query, "position in the test split of each query", ("query",))
    file.put("nearest/shown", examples, "queries shown", ("shown",))
    put_images(file, "nearest/query_shown", split.images[query[examples]], ("shown",), "queries shown")
    likeness: dict[str, dict[str, np.ndarray]] = {part: {} for part in LIKENESS}
    for name, values in logits.items():
        each = [nearest_by_logits(torch.from_numpy(one), x, label, rows, neighbours) for one in values]
        index = np.stack([one.index.numpy() for one in each])
        text = "positions in the test split of the nearest by the cosine of logits"
        file.put(f"nearest/{name}/index", index, text, ("seed", "query", "neighbour"))
        text += ", of the queries shown and the first seed"
        put_images(file, f"nearest/{name}", split.images[index[0][examples]], ("shown", "neighbour"), text)
        for part, text in LIKENESS.items():
            likeness[part][name] = np.stack([getattr(one, part).numpy() for one in each])
            file.put(f"nearest/{name}/{part}/by_query", likeness[part][name], text, ("seed", "query"))
    for part, text in LIKENESS.items():
        # Queries whose likeness all networks have: only these can be compared.
        known = np.isfinite(np.concatenate(list(likeness[part].values()))).all(0)
        found = {
            name: crossed(values[:, known], of_kind(name, len(values)), share=part == "same_class")
            for name, values in likeness[part].items()
        }
        for name, one in found.items():
            put_crossed(file, f"nearest/{name}/{part}", one.estimate(confidence), text)
        apart = (found["adversarial"] - found["standard"]).estimate(confidence)
        put_crossed(file, f"nearest/difference/{part}", apart, f"{text}, adversarial less standard training")


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        compare(
            data=snakemake.input.data,
            standard=snakemake.input.standard,
            adversarial=snakemake.input.adversarial,
            output=snakemake.output[0],
            provenance=run.provenance,
            **run.settings,
        )
