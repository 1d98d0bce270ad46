"""Set a network's answer to an FGSM step beside the analytic model's (Seguin, appendix C.3, equations 8 to 10)."""

from dataclasses import asdict
from functools import partial

import numpy as np
import torch
from torch import Tensor

from neighborhoods import logit_model, logit_response
from neighborhoods.boundary import logits_in_batches
from neighborhoods.gap_dependence import agreement, gap_dependence, lead, runner_up
from neighborhoods.images import to_inputs
from neighborhoods.networks import restore
from neighborhoods.statistics import summarize
from pipeline.devices import halve_on_out_of_memory
from pipeline.results import PIXELS, put_summary, read_network, read_split
from pipeline.store import Provenance, StoreError, Writer, writing

LOGITS = "nat"

PREDICTIONS = {
    "equation_8": "equation 8 on printed surrogates",
    "printed": "equation 12 with the printed Jacobian on printed surrogates",
    "derived": "equation 12 with the derived Jacobian on printed surrogates",
    "derived_logits": "equation 12 with the derived Jacobian on the network's own logits",
    "identity": "epsilon times the loss's gradient in the logits: J J^T = 1",
}

TERMS = {"line": ("constant", "gap"), "parabola": ("constant", "gap", "gap squared")}


def respond(
    *,
    data: str,
    model: str,
    output: str,
    train_images: int,
    images: int,
    epsilon: float,
    bound: float,
    confidence: float,
    batch_size: int,
    seed: int,
    provenance: Provenance,
    device: str = "cpu",
) -> None:
    """Write measured changes of logits and of gaps, the model's predictions, and how the change depends on the gap.

    The model's X and Z are the first `train_images` training images in random order and their surrogates, without those
    whose surrogate does not meet the printed condition on beta. Changes are those of the first `images` correctly
    classified ones among them, which belong to X as in the source.
    """
    train, stored = read_split(data, "train"), read_network(model)
    network = restore(stored.settings, stored.weights, device).eval()
    index = train.order[:train_images]
    x, label = to_inputs(train.images[index], device), torch.from_numpy(train.labels[index])
    logits = logits_in_batches(network, x, batch_size).double().cpu()
    targets, kept = logit_model.surrogates(logits, label)
    x, label, logits, targets, index = x[kept.to(device)], label[kept], logits[kept], targets[kept], index[kept.numpy()]
    right = logits.argmax(1) == label
    rows = right.nonzero()[:images, 0]
    if len(rows) < 4:
        raise StoreError(f"{model}: expected at least 4 correctly classified training images, found {len(rows)}")
    own, there = label[rows], rows.to(device)
    step = partial(logit_response.network_response, network, x[there], own.to(device), epsilon)
    measured = halve_on_out_of_memory(step, batch_size)
    linear, finite = measured.linear.cpu(), measured.finite.cpu()

    inputs, length = logit_response.unit_length(x.cpu())
    spectrum = logit_response.spectrum(inputs)
    models = {
        name: logit_response.ridge(spectrum, z, logit_response.multiplier(spectrum, z, bound=bound))
        for name, z in (("surrogates", targets), ("logits", logits))
    }
    surrogate = models["surrogates"]
    pull, reach = logit_response.loss_pull(logits[rows], own), epsilon / length[rows]
    weights = surrogate.weights()
    predictions = {
        "equation_8": logit_response.equation_8(weights, targets, own, epsilon),
        "printed": surrogate.response(rows, pull, reach, printed=True),
        "derived": surrogate.response(rows, pull, reach, printed=False),
        "derived_logits": models["logits"].response(rows, pull, reach, printed=False),
        "identity": epsilon * pull,
    }
    rival = runner_up(logits[rows], own)
    gap = lead(logits[rows], own, rival)
    after = logits[rows] + finite
    changes = {"linear": lead(linear, own, rival), "finite": lead(after, own, runner_up(after, own)) - gap}
    with writing(output, provenance) as file:
        file.put("index", index[rows.numpy()], "position in the train split of the images measured", ("image",))
        file.put("label", own, "true class, which the network predicts", ("image",))
        file.put("gap", gap, "gap between the label's logit and the second largest", ("image",), LOGITS)
        file.put("epsilon", epsilon, "length of the step along the unit gradient", (), PIXELS)
        file.put("confidence", confidence, "level of each interval", ())
        for name, change in (("linear", linear), ("finite", finite)):
            text = f"{name} change of the logits"
            file.put(f"response/{name}", change, text, ("image", "class"), LOGITS)
            _put_dependence(file, name, gap, changes[name], confidence, seed)
        for name, predicted in predictions.items():
            _put_prediction(file, name, predicted, linear, own, rival, confidence, seed)
        _put_model(file, models, rows, int((~kept).sum()))
        _put_population(file, logits, right, weights, targets, epsilon)


def _put_dependence(file: Writer, step: str, gap: Tensor, change: Tensor, confidence: float, seed: int) -> None:
    file.put(f"change/{step}", change, f"{step} change of the gap", ("image",), LOGITS)
    mean = asdict(summarize(change.numpy(), None, confidence, seed))
    put_summary(file, f"dependence/{step}/mean", mean, "the gap's change", LOGITS)
    found = gap_dependence(gap.numpy(), change.numpy(), confidence)
    put_summary(file, f"dependence/{step}/shrinks", asdict(found.shrinks), "share of gaps that get smaller", "1")
    fits = {"line": found.line, "parabola": found.parabola, "power": found.power}
    for name, fit in fits.items():
        if fit is not None:
            terms = TERMS.get(name, ("constant", "exponent"))
            text = f"coefficients ({', '.join(terms)}), gap and change in nat"
            for key in ("value", "low", "high"):
                file.put(f"dependence/{step}/{name}/{key}", getattr(fit, key), f"{key} of {text}", ("term",))
            text = f"share of the variance that the {name} explains"
            file.put(f"dependence/{step}/{name}/explained", fit.explained, text, ())
            file.put(f"dependence/{step}/{name}/n", fit.n, "images", ())


def _put_prediction(
    file: Writer,
    name: str,
    predicted: Tensor,
    linear: Tensor,
    label: Tensor,
    rival: Tensor,
    confidence: float,
    seed: int,
) -> None:
    group, text = f"prediction/{name}", PREDICTIONS[name]
    found = agreement(predicted, linear, label, rival, confidence, seed)
    file.put(f"{group}/response", predicted, f"change of the logits by {text}", ("image", "class"), LOGITS)
    file.put(f"{group}/gap_change", lead(predicted, label, rival), f"change of the gap by {text}", ("image",), LOGITS)
    file.put(f"{group}/cosine", found.cosine, "cosine with the linear change of the logits", ("image",))
    file.put(f"{group}/signs", found.signs, "share of logits that change in the same direction", ("image",))
    for key, summary, what in (
        ("mean_cosine", found.mean_cosine, "the cosine with the linear change"),
        ("mean_signs", found.mean_signs, "the share of logits that change in the same direction"),
        ("gap_sign", found.gap_sign, "the share of gaps that change in the same direction"),
        ("gap_rank", found.gap_rank, "Spearman's correlation of the gap's changes"),
    ):
        put_summary(file, f"{group}/{key}", asdict(summary), what, "1")


def _put_model(file: Writer, models: dict[str, logit_response.Ridge], rows: Tensor, dropped: int) -> None:
    file.put("model/dropped", dropped, "training images whose surrogate violates the printed condition", ())
    for name, model in models.items():
        text = f"targets: {name}"
        file.put(f"model/{name}/multiplier", model.multiplier, f"lambda*, {text}", ())
        file.put(f"model/{name}/images", len(model.targets), f"rows of X, {text}", ())
        file.put(f"model/{name}/rank", len(model.spectrum.values), f"numerical rank of X, {text}", ())
        file.put(f"model/{name}/explained", model.explained(), f"share of the targets' variance in X omega, {text}", ())
        file.put(f"model/{name}/omega", model.weights(), f"diagonal of Omega, {text}", ("row",))
        apart = model.deviation(rows)
        deviation = f"||J printed - J derived|| / ||J derived||, {text}"
        file.put(f"model/{name}/deviation", apart, deviation, ("image",))
        file.put(f"model/{name}/median_deviation", float(np.median(apart)), f"median of {deviation}", ())


def _put_population(
    file: Writer, logits: Tensor, right: Tensor, weights: Tensor, targets: Tensor, epsilon: float
) -> None:
    text = "change of the gap with Omega_nu the diagonal of Omega, known but for a common factor"
    file.put("population/error", 1 - float(right.double().mean()), "share of misclassified images among the rows", ())
    file.put("population/equation_9", logit_response.equation_9(weights, targets, epsilon), f"equation 9: {text}", ())
    for name, printed in (("equation_10", True), ("equation_10_complete", False)):
        beta = logits.amax(1)
        found = logit_model.lumped_gap_change(beta, right, weights, logits.shape[1], epsilon=epsilon, printed=printed)
        file.put(f"population/{name}", float(found.change), f"{name}: {text}", ())


if "snakemake" in globals():
    from pipeline.job import job

    with job(snakemake) as run:
        respond(
            data=snakemake.input.data,
            model=snakemake.input.model,
            output=snakemake.output[0],
            device=run.device,
            provenance=run.provenance,
            **run.settings,
        )
