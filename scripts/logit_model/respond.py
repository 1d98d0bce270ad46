"""Set a network's answer to an FGSM step beside the analytic model's (Seguin, appendix C.3, equations 8 to 10)."""

from dataclasses import asdict
from functools import partial

import torch

from neighborhoods.boundary.points import logits_in_batches
from neighborhoods.images import to_inputs
from neighborhoods.logits import model as logit_model
from neighborhoods.logits import response as logit_response
from neighborhoods.logits.gap_dependence import agreement, gap_dependence, lead, runner_up
from neighborhoods.networks.architectures import restore
from neighborhoods.statistics.intervals import summarize
from pipeline.results.logit_model import LOGITS, put_dependence, put_model, put_prediction
from pipeline.results.shared import PIXELS, read_checkpoint, read_split
from pipeline.running.devices import halve_on_out_of_memory
from pipeline.store import Provenance, StoreError, writing

# Images whose Jacobian is compared with differences: each takes two fits of the model.
DIFFERENCES = 20


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
    epoch: int | None = None,
    device: str = "cpu",
) -> None:
    """Write measured changes of logits and of gaps, the model's predictions, and how the change depends on the gap.

    The model's X and Z are the first `train_images` training images in random order and their surrogates, without those
    whose surrogate does not meet the printed condition on beta. Changes are those of the first `images` correctly
    classified ones among them, which belong to X as in the source.
    """
    train, stored = read_split(data, "train"), read_checkpoint(model, epoch)
    network = restore(stored.settings, stored.weights, device).eval()
    index = train.order[:train_images]
    x, label = to_inputs(train.images[index], device), torch.from_numpy(train.labels[index])
    logits = logits_in_batches(network, x, batch_size).double().cpu()
    targets, kept = logit_model.surrogates(logits, label)
    derived = int(logit_model.surrogates(logits, label, printed=False)[1].sum())
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
            file.put(f"change/{name}", changes[name], f"{name} change of the gap", ("image",), LOGITS)
            mean = summarize(changes[name].numpy(), None, confidence, seed)
            fits = gap_dependence(gap.numpy(), changes[name].numpy(), confidence)
            put_dependence(file, f"dependence/{name}", asdict(mean), fits)
        for name, predicted in predictions.items():
            file.put(
                f"prediction/{name}/gap_change", lead(predicted, own, rival), "change of the gap", ("image",), LOGITS
            )
            put_prediction(file, name, predicted, agreement(predicted, linear, own, rival, confidence, seed))
        file.put("model/dropped", int((~kept).sum()), "training images without an allowed printed surrogate", ())
        file.put("model/drawn", len(kept), "training images drawn", ())
        file.put("model/derived", derived, "training images of those drawn with an allowed derived surrogate", ())
        for name, fitted in models.items():
            put_model(file, name, fitted, fitted.deviation(rows))
        some, own_pull = rows[:DIFFERENCES], pull[:DIFFERENCES]
        for part, printed in (("printed", True), ("corrected", False)):
            error = surrogate.derivative_error(some, own_pull, printed=printed)
            text = f"||J v - d|| / ||d||, J {part}, d by differences of the model fitted again"
            file.put(f"jacobian/{part}", error, text, ("difference",))
        file.put("population/error", 1 - float(right.double().mean()), "share of misclassified images in X", ())
        text = "change of the gap, Omega_nu known but for a common factor"
        file.put("population/equation_9", logit_response.equation_9(weights, targets, epsilon), text, ())
        for name, printed in (("equation_10", True), ("equation_10_complete", False)):
            lumped = logit_model.lumped_gap_change(
                logits.amax(1), right, weights, logits.shape[1], epsilon=epsilon, printed=printed
            )
            file.put(f"population/{name}", float(lumped.change), text, ())


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        respond(
            data=snakemake.input.data,
            model=snakemake.input.model,
            output=snakemake.output[0],
            device=run.device,
            provenance=run.provenance,
            **run.settings,
        )
