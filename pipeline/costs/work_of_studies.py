"""Counts of work: studies of logits, the path kernel, manifolds, and what needs no network."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pipeline.costs.network_work import PassWork, dense_work, pass_work
from pipeline.costs.work import FLOAT, GRADIENT, MB, Job, Work, network_s, speeds
from pipeline.data.sizes import Sizes, sizes_of
from pipeline.plan.logit_studies import distillation_of, study_settings

# Steps of AutoAttack on an image that survives: 100 of APGD, and of APGD and FAB toward nine classes, 5000 of Square.
AUTOATTACK = 6900
# Operations of such a step beside the network's, in layers: on few images they take most of the time.
STEP_LAYERS = 20


def _epochs_s(work: PassWork, images: int, training: Mapping[str, Any], attack_steps: int = 0) -> float:
    passes = GRADIENT * (1 + attack_steps)
    return training["epochs"] * passes * network_s(work, images, training["batch_size"])


def _teacher(job: Job) -> Work:
    entry, sizes, work = job.study()
    training = entry["training"]
    steps = entry["adversarial"]["steps"] if job.names["teacher"] == "adversarial" else 0
    memory = job.arrays(sizes, work, GRADIENT * training["batch_size"])
    stored = (len(entry["checkpoints"]) + 1) * FLOAT * work.parameters / MB
    return Work(_epochs_s(work, sizes.train, training, steps), memory, stored)


def _student(job: Job) -> Work:
    entry, sizes, work = job.study()
    training = distillation_of(entry)
    memory = job.arrays(sizes, work, GRADIENT * training["batch_size"])
    return Work(_epochs_s(work, sizes.train, training), memory, FLOAT * work.parameters / MB)


def _outputs(job: Job) -> Work:
    entry, sizes, work = job.study()
    images = len(entry["checkpoints"]) * len(entry["seeds"]) * (sizes.train + sizes.test)
    stored = FLOAT * images * sizes.classes / MB
    return Work(network_s(work, images, 500), job.arrays(sizes, work, 500) + stored, stored)


def _targets(job: Job) -> Work:
    entry, sizes, work = job.study()
    training = distillation_of(entry)
    # Without crops and mirror images every draw is the same.
    draws = entry["distillation"]["draws"] if training["crop"] or training["flip"] else 1
    seconds = draws * network_s(work, sizes.train, training["batch_size"])
    return Work(seconds, job.arrays(sizes, work, training["batch_size"]), 2 * FLOAT * sizes.train * sizes.classes / MB)


def _robustness(job: Job) -> Work:
    entry, sizes, work = job.study()
    judged = entry["robustness"]
    images = min(judged["images"], sizes.test)
    each = judged["restarts"] * (judged["steps"] + judged["pgd_steps"])
    seconds = len(entry["seeds"]) * GRADIENT * each * network_s(work, images, judged["batch_size"])
    checked = study_settings(job.config, "robustness", job.names["study"], (job.names["judged"],))["check_images"]
    if checked:
        step = replace(work, layers=work.layers + STEP_LAYERS)
        seconds += GRADIENT * AUTOATTACK * network_s(step, checked, checked)
    return Work(seconds, job.arrays(sizes, work, GRADIENT * min(images, judged["batch_size"])))


def _analysis(job: Job) -> Work:
    entry, sizes, _ = job.study()
    logits = (len(entry["checkpoints"]) + 1) * len(entry["seeds"]) * (sizes.train + sizes.test) * sizes.classes
    return Work(logits * 1e-7, FLOAT * logits / MB)


def _named(job: Job, section: str) -> tuple[Sizes, PassWork]:
    """Images and network of a name in a section."""
    entry = job.config[section]["networks"][job.names["name"]]
    if "study" in entry:
        study = job.config["logits"]["studies"][entry["study"]]
        dataset, model = study["dataset"], study["model"]
    else:
        dataset, model = entry["dataset"], entry["model"]
    sizes = sizes_of(job.config, dataset)
    return sizes, pass_work(job.config["models"][model], sizes.shape, sizes.classes)


def _logit_response(job: Job) -> Work:
    settings, (sizes, work) = job.config["logit_model"], _named(job, "logit_model")
    images = min(settings["train_images"], sizes.train)
    seconds = images**2 * sizes.values * speeds()["dense_s"]
    seconds += GRADIENT * network_s(work, min(settings["images"], images), settings["batch_size"])
    return Work(seconds, job.arrays(sizes, work, settings["batch_size"]) + 2 * FLOAT * images**2 / MB)


def _manifolds(job: Job) -> Work:
    settings, (sizes, work) = job.config["manifolds"], _named(job, "manifolds")
    features = min(settings["features"], max(sizes.values, work.values / max(1, work.layers)))
    points = settings["exemplars"] * settings["samples"]
    # A quadratic programme for each Gaussian vector, as many as points, and projections of all points in each trial.
    programmes = 2 * settings["exemplars"] * settings["n_t"] * settings["samples"] ** 2
    trials = settings["trials"] * settings["exemplars"] * settings["samples"] * features
    seconds = (work.layers + 1) * (20 * programmes + trials + points * features * 50) * speeds()["dense_s"]
    seconds += GRADIENT * settings["steps"] * network_s(work, points, 250)
    return Work(seconds, job.arrays(sizes, work, points))


def _kernel_network(job: Job) -> tuple[Mapping[str, Any], Sizes, PassWork]:
    entry = job.config["path_kernel"]["networks"][job.names["network"]]
    sizes = job.sizes(entry["dataset"])
    if "model" in entry:
        return entry, sizes, pass_work(job.config["models"][entry["model"]], sizes.shape, sizes.classes)
    return entry, sizes, dense_work([sizes.values, *entry["hidden"], sizes.classes])


def _kernel_s(entry: Mapping[str, Any], sizes: Sizes, work: PassWork, queries: int, **other: int) -> float:
    """Seconds of the kernel of all training points and queries: inner products in every layer, for every output."""
    steps, samples = other.get("steps", entry["steps"]), other.get("samples", entry["train_samples"])
    pairs = samples * queries * work.values * sizes.classes
    return steps * (pairs * speeds()["dense_s"] + _descent_s(work, samples))


def _descent_s(work: PassWork, samples: int) -> float:
    """Seconds of one step of full-batch descent."""
    return GRADIENT * network_s(work, samples, samples)


def _path(job: Job) -> Work:
    entry, _, work = _kernel_network(job)
    stored = FLOAT * entry["steps"] * work.parameters / MB
    return Work(entry["steps"] * _descent_s(work, entry["train_samples"]), 2 * stored, stored)


def _kernel_job(job: Job, queries: int, **other: int) -> Work:
    entry, sizes, work = _kernel_network(job)
    path = 2 * FLOAT * entry["steps"] * work.parameters / MB
    contributions = 2 * FLOAT * queries * entry["train_samples"] * sizes.classes / MB
    return Work(_kernel_s(entry, sizes, work, queries, **other), path + contributions, contributions)


def _integrate(job: Job) -> Work:
    return _kernel_job(job, _kernel_network(job)[0]["queries"])


def _study(job: Job) -> Work:
    settings = job.config["path_kernel"]["study"]
    return _kernel_job(job, 2 * settings["natural"] + 3 * settings["foreign"] + settings["gaussian_process_points"])


def _map(job: Job) -> Work:
    settings = job.config["path_kernel"]["map"]
    asked = settings["grid"] ** 2 + settings["points"] * len(settings["distances"])
    return _kernel_job(job, asked, samples=2)


def _variants(job: Job) -> Work:
    settings = job.config["path_kernel"]["variants"]
    evaluations = 3 * sum(settings["nodes"]) + 10 * len(settings["tolerances"])
    sizes = {"steps": settings["steps"], "samples": settings["train_samples"]}
    return _kernel_job(job, settings["queries"] * evaluations // 20, **sizes)


def _geometry(job: Job) -> Work:
    entry, _, work = _kernel_network(job)
    settings = job.config["path_geometry"]
    steps = settings["starts"] * entry["steps"] + settings["samples"] * len(settings["fractions"])
    path = 2 * FLOAT * entry["steps"] * work.parameters / MB
    return Work(2 * steps * _descent_s(work, entry["train_samples"]), 2 * path)


def _importance(job: Job) -> Work:
    entry, sizes, work = _kernel_network(job)
    settings = job.config["importance"]
    trained = settings["subsets"] * entry["steps"] * _descent_s(work, entry["train_samples"])
    return Work(trained + 3 * _kernel_s(entry, sizes, work, settings["queries"]), job.arrays(sizes))


def _tilting(job: Job) -> Work:
    settings, sizes = job.config["tilting"], job.sizes()
    images = min(2 * settings["images"], sizes.train // sizes.classes * 2)
    newton = 20 * settings["alpha_steps"] * images * min(images, sizes.values) ** 2
    return Work(newton * speeds()["dense_s"], 2 * FLOAT * images**2 / MB + job.arrays(sizes))


def _decay(job: Job) -> Work:
    settings, sizes = job.config["weight_decay"], job.sizes()
    model = {"architecture": "bell_cnn", "channels": settings["channels"]}
    work = pass_work(model, sizes.shape, sizes.classes)
    one = _epochs_s(work, sizes.train, {"epochs": settings["epochs"], "batch_size": 100})
    near = GRADIENT * 40 * (sizes.classes - 1) * network_s(work, settings["images"], settings["images"])
    return Work(len(settings["strengths"]) * (one + near), job.arrays(sizes, work, 300))


def _cones(job: Job) -> Work:
    settings, persistence = job.config["cones"], job.config["persistence"]
    values = len(settings["faces"]) * settings["points"] * persistence["samples"] * settings["dimension"]
    return Work(30 * values * speeds()["noise_s"], FLOAT * persistence["samples"] * settings["dimension"] / MB)


def _norms(job: Job) -> Work:
    settings = job.config["norms"]
    values = [math.prod(pair) for pair in zip(settings["dimensions"], settings["points"], strict=True)]
    return Work(2 * sum(values) * speeds()["noise_s"])


def _wedges(job: Job) -> Work:
    settings = job.config["wedges"]
    samples, dimension = settings["samples"], settings["dimension"]
    spectra = len(settings["faces"]) * settings["repeats"] * samples * dimension**2 * speeds()["dense_s"]
    return Work(spectra, 2 * FLOAT * samples * dimension / MB)


COUNTED: dict[str, Callable[[Job], Work]] = {
    "train_teacher": _teacher,
    "distil_student": _student,
    "record_outputs": _outputs,
    "average_targets": _targets,
    "measure_robustness": _robustness,
    "describe_logits": _analysis,
    "compare_answers": _analysis,
    "compare_images": _analysis,
    "measure_logit_response": _logit_response,
    "measure_manifolds": _manifolds,
    "record_path": _path,
    "integrate_kernel": _integrate,
    "study_kernel": _study,
    "map_kernel": _map,
    "vary_kernel": _variants,
    "measure_geometry": _geometry,
    "rank_importance": _importance,
    "trace_tilting": _tilting,
    "decay_weights": _decay,
    "measure_cones": _cones,
    "sample_norms": _norms,
    "measure_wedges": _wedges,
}
