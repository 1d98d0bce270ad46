"""Which configuration of the checkout makes the results that decide a claim, where a run does not make them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.claims.ledger import Claim, Part, load
from pipeline.config.schema import resolve
from pipeline.data.sizes import sizes_of
from pipeline.plan.catalogue import TRAIN_IMAGES
from pipeline.plan.logit_studies import study_path
from pipeline.plan.paths import data_path
from pipeline.plan.selection import artefact_path, result_paths
from pipeline.plan.study_comparison import claim_studies
from pipeline.yaml_files import read_yaml

# On top of config.yaml, in the order in which they are asked.
CONFIGURATIONS = (
    (),
    ("config/mnist_full.yaml",),
    ("config/paper.yaml",),
    ("config/logits_cifar10.yaml",),
    ("config/paper.yaml", "config/paper_gpu.yaml"),
    ("config/paper.yaml", "config/paper_imagenet.yaml"),
    ("config/cifar10.yaml",),
)
DEFAULT = "config.yaml"

# Files without which a statistic says nothing, which names of a study may be too few for.
LEAST_FILES = {
    **{"rank_trend": 3, "accuracy_trend": 3, "last_of_best": 2, "ends_lower": 4},
    **{"capacity_tracks": 2, "capacity_over_simulated": 2},
}

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Offer:
    """What a configuration makes.

    Attributes:
        name: of its files, in words. claims: by id, as it fills their paths. made: its results. images: training images
            of each dataset, by its file. artefacts: path of each of its figures and tables, by name. last: epoch of the
            last checkpoint of each study of logits, by the folder of its results.
    """

    name: str
    claims: Mapping[str, Claim]
    made: frozenset[str]
    images: Mapping[str, int]
    artefacts: Mapping[str, str]
    last: Mapping[str, int]

    def decides(self, claim: Claim, part: Part) -> bool:
        """Whether it makes all that decides a part, at the scale that the claim needs and with as late checkpoints."""
        enough = claim.decidable(part, self.images.get(claim.data or ""))
        enough = enough and len(part.results) >= LEAST_FILES.get(claim.statistic, 1)
        epochs = [epoch for folder, epoch in self.last.items() if any(path.startswith(folder) for path in part.results)]
        late = all(epoch >= part.arguments.get("after", 0) for epoch in epochs)
        return enough and late and self.made.issuperset([*part.results, *part.weights])

    def scale(self, claim: Claim, part: Part) -> str:
        """Scale of a part in words."""
        return scale_of(claim, part, self.images.get(claim.data or ""))


def configuration_files(root: Path) -> list[Path]:
    """Files that `offers` rests on."""
    names = dict.fromkeys((DEFAULT, *(name for names in CONFIGURATIONS for name in names)))
    return [root / name for name in names if (root / name).is_file()]


def offers(root: Path) -> list[Offer]:
    """What each configuration of a checkout makes, those whose files are there."""
    there = set(configuration_files(root))
    if root / DEFAULT not in there:
        return []
    base = read_yaml(root / DEFAULT)
    found = [names for names in CONFIGURATIONS if there.issuperset(root / name for name in names)]
    return [_offer(root, base, names) for names in found]


def claim_kernels(config: Config) -> dict[str, dict[str, Any]]:
    """Of each network of the path kernel, and of its `variants`, trained anew: `scale` in words, `train`ing points."""
    section = config["path_kernel"]
    found = {}
    for name, network in section["networks"].items():
        # Training takes as many as are there.
        points = min(network["train_samples"], sizes_of(config, network["dataset"]).train)
        own = section["variants"]
        for each, train, steps in (
            (name, points, network["steps"]),
            (f"{name}/variants", min(points, own["train_samples"]), own["steps"]),
        ):
            found[each] = {"scale": f"{train} training points, {steps} steps", "train": train}
    return found


def scale_of(claim: Claim, part: Part, images: int | None) -> str:
    """What a part is measured on, in words; empty where nothing is known.

    Args:
        images: training images of the dataset, 0 where its networks were trained elsewhere, None where there is none.
    """
    trained = "" if images is None else f"{images} training images" if images else "trained elsewhere"
    # What needs as many as the source has says so by itself.
    if images and not part.train and images < claim.source_images:
        trained += f", of {claim.source_images} in the source"
    return ", ".join(filter(None, (claim.scale, part.scale, trained)))


def _offer(root: Path, base: Config, names: tuple[str, ...]) -> Offer:
    merged: Config = base
    for name in names:
        merged = _merged(merged, read_yaml(root / name))
    config = resolve(merged)
    roles = config["claims"]["datasets"]
    claims = load(root, roles, claim_studies(config, root), claim_kernels(config))
    images = {data_path(name): _train_images(config["datasets"][name]) for name in roles.values()}
    made = frozenset(result_paths(config))
    artefacts = {name: artefact_path(config, name) for name in config["artefacts"]}
    studies = config["logits"]["studies"]
    last = {study_path(name, "").removesuffix(".h5"): entry["checkpoints"][-1] for name, entry in studies.items()}
    return Offer(" and ".join(names) or DEFAULT, {claim.id: claim for claim in claims}, made, images, artefacts, last)


def _merged(base: Any, overlay: Any) -> Any:
    """Mappings merge, and everything else is replaced, as Snakemake does it with its configuration files."""
    if not (isinstance(base, Mapping) and isinstance(overlay, Mapping)):
        return overlay
    return {**base, **{key: _merged(base[key], value) if key in base else value for key, value in overlay.items()}}


def _train_images(dataset: Config) -> int:
    return dataset.get("train") or TRAIN_IMAGES.get(dataset["source"], 0)
