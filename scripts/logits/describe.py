"""Describe max-logits and logit gaps over epochs, seeds and splits, and adversarial accuracy by gap (Seguin)."""

from collections.abc import Callable, Mapping
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from neighborhoods.logits.distributions import (
    Moments,
    accuracy_by_gap,
    bin_edges,
    logit_gap,
    max_logit,
    moments,
    peak_at_zero,
    quantile_edges,
    shares,
)
from neighborhoods.statistics.intervals import rank_correlation
from pipeline.results.logits import TEACHERS, put_accuracy_by_gap, put_crossed, read_attacked, read_outputs
from pipeline.results.shared import put_summaries
from pipeline.store import Provenance, Writer, writing

QUANTITIES: dict[str, tuple[Callable[..., NDArray[np.float64]], str]] = {
    "max_logit": (max_logit, "largest logits"),
    "gap": (logit_gap, "logit gaps"),
}
MOMENTS = {
    "mean": "mean",
    "log_mean": "ln of the mean",
    "skewness": "moment coefficient of skewness",
    "above": "share above the threshold",
}
SPLITS = ("train", "test")


def describe(
    *,
    standard: str,
    adversarial: str,
    standard_attacked: str,
    adversarial_attacked: str,
    output: str,
    teacher_epoch: Mapping[str, int],
    bins: int,
    accuracy_bins: int,
    threshold: float,
    confidence: float,
    provenance: Provenance,
) -> None:
    """Write {way of training}/{split}/{quantity}/, differences between ways and splits, peak/ and by_gap/.

    Every number is a mean over seeds with an interval for other images and other seeds (`crossed`).

    Args:
        standard, adversarial: outputs of the networks. standard_attacked, adversarial_attacked: the same under attack.
        teacher_epoch: by way of training, the epoch whose checkpoint stands for it.
        bins: of histograms, over all values of a quantity. accuracy_bins: of equally many images each.
        threshold: of the share of large values.
    """
    outputs = read_outputs({"standard": standard, "adversarial": adversarial}, teacher_epoch)
    attacked = {
        "standard": read_attacked(standard_attacked),
        "adversarial": read_attacked(adversarial_attacked),
    }
    places = {name: outputs[name].epochs.tolist().index(teacher_epoch[name]) for name in TEACHERS}
    with writing(output, provenance) as file:
        file.put("epochs", outputs["standard"].epochs, "epochs trained", ("epoch",))
        file.put("threshold", threshold, "what large values lie above", ())
        for name in TEACHERS:
            file.put(f"teacher_epoch/{name}", teacher_epoch[name], "epoch that stands for this way of training", ())
        for quantity, (measure, plural) in QUANTITIES.items():
            values = {
                # Seed by seed: all logits of a large study take gigabytes.
                (name, split): np.stack([measure(one) for one in outputs[name].logits[split]])
                for name in TEACHERS
                for split in SPLITS
            }
            edges = bin_edges(np.concatenate([one.ravel() for one in values.values()]), bins)
            file.put(f"edges/{quantity}", edges, f"edges of the bins of {plural}", ("edge",))
            found = {}
            for (name, split), one in values.items():
                found[name, split] = moments(one, name, threshold, f"{split} image")
                heights = shares(one, edges).mean(0)
                text = f"share of {split} images in each bin of {plural}, mean over seeds"
                file.put(f"{name}/{split}/{quantity}/histogram", heights, text, ("epoch", "bin"))
                _put(file, f"{name}/{split}/{quantity}", found[name, split], f"{plural} of {split} images", confidence)
            for split in SPLITS:
                apart = found["adversarial", split] - found["standard", split]
                text = f"{plural} of {split} images, adversarial less standard training"
                _put(file, f"difference/{split}/{quantity}", apart, text, confidence)
                first, second = (found[name, split][places[name]] for name in ("adversarial", "standard"))
                _put(file, f"teachers/{split}/{quantity}", first - second, text, confidence, ())
            for name in TEACHERS:
                apart = found[name, "train"] - found[name, "test"]
                text = f"{plural}, train less test images"
                _put(file, f"train_less_test/{name}/{quantity}", apart, text, confidence)
            if quantity == "gap":
                for (name, split), one in values.items():
                    peak = peak_at_zero(one[:, places[name]], name, edges).estimate(confidence)
                    text = f"share of gaps in the first bin less that in the fullest other, {split} images"
                    put_crossed(file, f"peak/{name}/{split}", peak, text)
        for name, networks in attacked.items():
            gap = logit_gap(networks.logits)
            edges = quantile_edges(gap, accuracy_bins)
            related = accuracy_by_gap(gap, networks.survives, name, edges, confidence)
            put_accuracy_by_gap(file, f"by_gap/{name}", related, edges)
            text = "probability that a surviving image has the larger gap than one that does not"
            put_crossed(file, f"by_gap/{name}/trend", related.trend.estimate(confidence, 0, 1), text)
            ranks = [asdict(rank_correlation(*row, confidence)) for row in zip(gap, networks.survives, strict=True)]
            text = "Spearman's correlation of gap and survival"
            put_summaries(file, f"by_gap/{name}/spearman", ranks, text, "1", ("seed",))


def _put(
    file: Writer, group: str, found: Moments, what: str, confidence: float, dims: tuple[str, ...] = ("epoch",)
) -> None:
    for name, text in MOMENTS.items():
        put_crossed(file, f"{group}/{name}", getattr(found, name).estimate(confidence), f"{text} of {what}", dims)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        describe(
            standard=snakemake.input.standard,
            adversarial=snakemake.input.adversarial,
            standard_attacked=snakemake.input.standard_attacked,
            adversarial_attacked=snakemake.input.adversarial_attacked,
            output=snakemake.output[0],
            provenance=run.provenance,
            **run.settings,
        )
