"""Compare which classes networks trained in two ways find likely, and which ones their wrong answers are (Seguin)."""

from collections.abc import Mapping

import numpy as np

from neighborhoods.logits.overlap import crossing, overlaps, places
from neighborhoods.logits.wrong_answers import class_averages, wrong_answers
from pipeline.results.logits import (
    APART,
    PAIRS,
    TEACHERS,
    Attacked,
    put_crossed,
    read_attacked,
    read_outputs,
)
from pipeline.store import Provenance, Writer, writing

SEEN = {"same": "for the same image", "exchanged": "for images exchanged within their class"}


def compare(
    *,
    standard: str,
    adversarial: str,
    standard_attacked: str,
    adversarial_attacked: str,
    output: str,
    teacher_epoch: Mapping[str, int],
    exchanges: int,
    confidence: float,
    seed: int,
    provenance: Provenance,
) -> None:
    """Write overlap/ and wrong/, of test images.

    Args:
        standard, adversarial: outputs of the networks. standard_attacked, adversarial_attacked: the same under attack.
        teacher_epoch: by way of training, the epoch whose checkpoint stands for it.
        exchanges: of images within classes that the overlap is averaged over.
    """
    outputs = read_outputs({"standard": standard, "adversarial": adversarial}, teacher_epoch, ["test"])
    attacked = {"standard": read_attacked(standard_attacked), "adversarial": read_attacked(adversarial_attacked)}
    logits = {name: outputs[name].at("test", teacher_epoch[name]) for name in TEACHERS}
    label = outputs["standard"].label["test"]
    with writing(output, provenance) as file:
        _overlap(file, logits, label, exchanges, confidence, seed)
        _wrong(file, logits, label, attacked, confidence)


def _overlap(
    file: Writer, logits: Mapping[str, np.ndarray], label: np.ndarray, exchanges: int, confidence: float, seed: int
) -> None:
    order = {name: places(values) for name, values in logits.items()}
    found = {"same": overlaps(order), "exchanged": overlaps(order, label, exchanges, seed)}
    for seen, kinds in found.items():
        for pair, one in kinds.items():
            what = f"AO@k of {PAIRS[pair]} {SEEN[seen]}"
            put_crossed(file, f"overlap/{seen}/{pair}", one.average.estimate(confidence, 0, 1), what, ("k",))
            text = f"standard deviation over pairs of {what}, nan of one pair"
            file.put(f"overlap/{seen}/{pair}/deviation", one.deviation(), text, ("k",))
        for first, second in APART:
            apart = (kinds[first].average - kinds[second].average).estimate(confidence)
            text = f"AO@k {SEEN[seen]}, {first} less {second} pairs"
            put_crossed(file, f"overlap/{seen}/{first}_less_{second}", apart, text, ("k",))
        curve = (kinds["adversarial"].average - kinds["standard"].average).estimate(confidence)
        for key, value in zip(("value", "low", "high"), crossing(curve.value, curve.low, curve.high), strict=True):
            text = f"{key} of the k from which adversarial pairs overlap more than standard ones {SEEN[seen]}"
            file.put(f"overlap/{seen}/crossing/{key}", value, text, ())
    lost = {pair: found["same"][pair].average - found["exchanged"][pair].average for pair in PAIRS}
    for first, second in APART:
        text = f"what AO@k loses by exchanging images within classes, {first} less {second} pairs"
        apart = (lost[first] - lost[second]).estimate(confidence)
        put_crossed(file, f"overlap/lost/{first}_less_{second}", apart, text, ("k",))


def _wrong(
    file: Writer,
    logits: Mapping[str, np.ndarray],
    label: np.ndarray,
    attacked: Mapping[str, Attacked],
    confidence: float,
) -> None:
    averages = {name: np.stack([class_averages(one, label) for one in values]) for name, values in logits.items()}
    for images in ("natural", "adversarial"):
        found = {}
        for name, values in logits.items():
            answers, truth = values.argmax(-1), label
            if images == "adversarial":
                answers, truth = attacked[name].adversarial.argmax(-1), attacked[name].label
            found[name] = one = wrong_answers(averages[name], answers, truth, name)
            group, what = f"wrong/{images}/{name}", f"wrong answers to {images} images"
            text = f"share at each rank of the true class's average logits, of {what}"
            put_crossed(file, f"{group}/share", one.share.estimate(confidence, 0, 1), text, ("rank",))
            file.put(f"{group}/by_seed", one.by_seed, text, ("seed", "rank"))
            file.put(f"{group}/n", one.n, what, ("seed",))
            for part, text in (("rank", "mean rank"), ("lead", "share at rank 2 less that at the fullest other")):
                put_crossed(file, f"{group}/{part}", getattr(one, part).estimate(confidence), f"{text} of {what}")
        for part, dims in (("share", ("rank",)), ("rank", ())):
            apart = (getattr(found["adversarial"], part) - getattr(found["standard"], part)).estimate(confidence)
            text = f"{part} of wrong answers to {images} images, adversarial less standard training"
            put_crossed(file, f"wrong/{images}/difference/{part}", apart, text, dims)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        compare(
            standard=snakemake.input.standard,
            adversarial=snakemake.input.adversarial,
            standard_attacked=snakemake.input.standard_attacked,
            adversarial_attacked=snakemake.input.adversarial_attacked,
            output=snakemake.output[0],
            provenance=run.provenance,
            **run.settings,
        )
