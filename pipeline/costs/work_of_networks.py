"""Counts of work: data, networks of `models`, attacks on them, and what is measured of both."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pipeline.costs.network_work import PassWork, pass_work
from pipeline.costs.work import FLOAT, GRADIENT, MB, Job, Work, network_s, speeds

# About how many levels of noise a bracket of persistence tries.
LEVELS = 30


def _data(job: Job) -> Work:
    sizes = job.sizes()
    stored = job.arrays(sizes)
    return Work(stored / 100, stored, stored)


def _training(job: Job, model: Mapping[str, Any]) -> float:
    sizes, training = job.sizes(), model["training"]
    adversarial = training["adversarial"]
    passes = GRADIENT * (1 + (adversarial["steps"] if adversarial else 0))
    work = pass_work(model, sizes.shape, sizes.classes)
    return training["epochs"] * passes * network_s(work, sizes.train, training["batch_size"])


def _train(job: Job) -> Work:
    sizes, work = job.sizes(), job.network()
    model = job.config["models"][job.names["model"]]
    memory = job.arrays(sizes, work, GRADIENT * model["training"]["batch_size"])
    return Work(_training(job, model), memory, FLOAT * work.parameters / MB)


def _weights(job: Job) -> Work:
    sizes, work = job.sizes(), job.network()
    return Work(network_s(work, sizes.test, 100), job.arrays(sizes, work, 100), FLOAT * work.parameters / MB)


def _attack(job: Job) -> Work:
    sizes, work = job.sizes(), job.network()
    entry, images = job.config["attacks"][job.names["attack"]], job.attacked()
    gradients = GRADIENT * _gradients(entry, sizes.classes)
    batch = min(entry["batch_size"], images)
    seconds = gradients * network_s(work, images, batch) + network_s(work, sizes.test, 1000)
    return Work(seconds, job.arrays(sizes, work, GRADIENT * batch), 2 * FLOAT * sizes.values * images / MB)


def _gradients(entry: Mapping[str, Any], classes: int) -> float:
    """Gradients of each image that an attack takes."""
    method = entry["method"]
    match method:
        case "fgsm" | "fgm_l2" | "rfgsm":
            return 1
        case "cw":
            return entry["search_steps"] * entry["adam_steps"]
        case "lbfgs":
            return entry["max_steps"] * (1 if entry["mode"] == "fixed_c" else entry["search_steps"])
        case "deepfool":
            return entry["max_steps"] * min(entry["candidates"] or classes, classes)
        case "jsma":
            return 100 * entry["pixel_share"] * classes
        case _ if "steps" in entry and "arguments" not in entry:
            return entry["steps"]
    given = entry.get("arguments", {})
    numbers = {key: value for key, value in given.items() if isinstance(value, (int, float))}
    return numbers.get("steps", 10) * numbers.get("noise_samples", 1)


def _noise(job: Job, model: str | None = None) -> tuple[int, PassWork]:
    """Numbers that a direction of noise has, and what the network then does with it.

    Before a fully connected layer noise is drawn in that layer's row space alone.
    """
    sizes, work = job.sizes(), job.network(model)
    entry = job.config["models"][job.names["model"] if model is None else model]
    if entry.get("architecture") != "fully_connected" or "factory" in entry:
        return sizes.values, work
    drawn = min(sizes.values, [*entry["hidden"], sizes.classes][0])
    return drawn, replace(work, dense=work.dense - sizes.values * drawn)


def _persistence_s(job: Job, images: float, levels: float = LEVELS, model: str | None = None) -> float:
    """Seconds of brackets: directions are drawn once, or for each level where there is no room to keep them."""
    settings, (drawn, work) = job.section("persistence"), _noise(job, model)
    values = settings["samples"] * drawn
    draws = 1 if FLOAT * values / MB <= settings["memory_mb"] else levels
    return draws * images * values * speeds()["noise_s"] + levels * network_s(work, images * settings["samples"], 256)


def _bracket(job: Job, images: float, levels: float = LEVELS) -> Work:
    sizes, work, settings = job.sizes(), job.network(), job.section("persistence")
    noise = min(settings["memory_mb"], FLOAT * images * settings["samples"] * sizes.values / MB)
    batch = min(settings["batch_size"], settings["samples"])
    return Work(_persistence_s(job, images, levels), job.arrays(sizes, work, batch) + noise)


def _natural(job: Job) -> Work:
    return _bracket(job, min(int(job.names["images"]), job.sizes().test))


def _persistence(job: Job) -> Work:
    return _bracket(job, job.attacked())


def _stability(job: Job) -> Work:
    sizes, settings = job.sizes(), job.section("stability")
    entry = job.config["attacks"][job.names["attack"]]
    images = min(entry["images"], sizes.test) + job.attacked()
    drawn, kept = _noise(job)
    samples = images * settings["samples"]
    seconds = samples * drawn * speeds()["noise_s"] + settings["points"] * network_s(kept, samples, 256)
    batch = min(settings["batch_size"], settings["samples"])
    shown = FLOAT * images * settings["examples"] * sizes.values / MB
    return Work(seconds, job.arrays(sizes, job.network(), batch), shown)


def _interpolation(job: Job) -> Work:
    settings = job.section("interpolation")
    pairs = min(settings["pairs"], job.attacked())
    return _bracket(job, pairs * settings["points"], LEVELS * len(settings["gammas"]))


def _asymmetry(job: Job) -> Work:
    return _bracket(job, 4 * min(job.section("asymmetry")["images"], job.attacked()))


def _sensitivity(job: Job) -> Work:
    settings = job.section("sensitivity")
    return _bracket(job, 2 * min(settings["images"], job.attacked()), LEVELS * (len(settings["gammas"]) + 1))


def _zoo(job: Job) -> Work:
    zoo = job.config["zoo"]
    seconds = sum(_persistence_s(job, zoo["images"], model=model) for model in zoo["models"].values())
    return Work(seconds, job.arrays(job.sizes()))


def _boundary(job: Job) -> Work:
    settings, work = job.section("boundary"), job.network()
    values = job.sizes().values
    followed = settings["lines"] * settings["points"] + settings["traced"] * settings["points"]
    turned = settings["fitted"] * values * settings["fit_samples"] * len(settings["fit_radii"])
    walked = settings["walks"] * settings["directions"] * len(settings["radii"]) * settings["turned"]
    seconds = GRADIENT * network_s(work, followed + turned + walked, settings["batch_size"])
    return Work(seconds, job.arrays(job.sizes(), work, settings["batch_size"]))


def _cloud_s(values: int, points_per_dimension: float) -> float:
    """Seconds of the singular values of a cloud of points."""
    return points_per_dimension * values**3 * speeds()["dense_s"]


def _spectra(job: Job) -> Work:
    settings, work, values = job.section("spectra"), job.network(), job.sizes().values
    clouds = 4 * settings["lines"] * len(settings["radii"]) * len(settings["projections"])
    points = settings["points_per_dimension"] * values
    passes = 20 * network_s(work, points, settings["batch_size"])
    seconds = clouds * (passes + _cloud_s(values, settings["points_per_dimension"]))
    return Work(seconds, job.arrays(job.sizes(), work, settings["batch_size"]), FLOAT * clouds * values / MB)


def _level_sets(job: Job) -> Work:
    settings, work, values = job.section("level_sets"), job.network(), job.sizes().values
    near = 2 * settings["lines"] * len(settings["radii"]) * settings["samples"]
    paths = 2 * settings["traced"] * settings["points"] * settings["rounds"]
    clouds = 2 * settings["dimension_points"] * len(settings["dimension_radii"])
    points = clouds * settings["points_per_dimension"] * values
    seconds = GRADIENT * network_s(work, near + paths + 20 * points, settings["batch_size"])
    seconds += clouds * _cloud_s(values, settings["points_per_dimension"])
    return Work(seconds, job.arrays(job.sizes(), work, settings["batch_size"]))


def _dropout(job: Job) -> Work:
    settings, work = job.section("dropout"), job.network()
    seconds = network_s(work, settings["lines"] * settings["masks"] * settings["points"], settings["batch_size"])
    return Work(seconds, job.arrays(job.sizes(), work, settings["batch_size"]))


def _voronoi(job: Job) -> Work:
    settings, sizes = job.section("voronoi"), job.sizes()
    lines = 20 * settings["lines"] + 200 * settings["programmes"]
    return Work(lines * sizes.train * sizes.values * speeds()["dense_s"], 2 * job.arrays(sizes))


def _plane(job: Job) -> Work:
    settings = job.config["plane"]
    return Work(network_s(job.network(), settings["grid"] ** 2, 4096))


def _factors(job: Job) -> Work:
    settings, sizes, work = job.section("factors"), job.sizes(), job.network()
    near = settings["distance_classes"] * settings["distance_steps"] * 20
    around = settings["directions"] * len(settings["epsilons"])
    seconds = GRADIENT * network_s(work, settings["images"] * (near + around), settings["batch_size"])
    seconds += settings["cluster_images"] ** 2 * 100 * speeds()["dense_s"]
    return Work(seconds, job.arrays(sizes, work, settings["batch_size"]))


def _interpolated(job: Job) -> Work:
    settings, sizes, work = job.config["interpolated_weights"], job.sizes(), job.network()
    measured = settings["train_images"] * GRADIENT + sizes.test + settings["attacked"] * GRADIENT * settings["steps"]
    one = _training(job, job.config["models"][job.names["model"]])
    seconds = settings["starts"] * (one + settings["points"] * network_s(work, measured, 100))
    return Work(seconds, job.arrays(sizes, work, settings["train_images"]))


COUNTED: dict[str, Callable[[Job], Work]] = {
    "fetch_mnist5k": _data,
    "fetch_idx": _data,
    "fetch_cifar": _data,
    "make_gaussians": _data,
    "import_hdf5": _data,
    "unpack_photos": _data,
    "import_photos": _data,
    "train": _train,
    "import_weights": _weights,
    "fetch_weights": _weights,
    "attack": _attack,
    "measure_natural": _natural,
    "bracket_persistence": _persistence,
    "sweep_stability": _stability,
    "trace_interpolation": _interpolation,
    "compare_sides": _asymmetry,
    "vary_sampling": _sensitivity,
    "compare_networks": _zoo,
    "measure_boundary": _boundary,
    "decompose_boundary": _spectra,
    "measure_level_sets": _level_sets,
    "trace_dropout": _dropout,
    "compare_voronoi": _voronoi,
    "map_plane": _plane,
    "decompose_sensitivity": _factors,
    "interpolate_weights": _interpolated,
}
