"""What the counts of work are made of: a job's settings, network and images, and seconds of network passes."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.costs.network_work import PassWork, pass_work
from pipeline.data.sizes import Sizes, sizes_of
from pipeline.provenance.specs import section_for

Config = Mapping[str, Any]
Names = Mapping[str, str]

PASSES = Path(__file__).with_name("passes.json")
MB = 1e6
FLOAT = 4
# A forward and a backward pass.
GRADIENT = 3


@dataclass(frozen=True)
class Work:
    """What a job has to do.

    Attributes:
        seconds: of what takes most time, up to a factor of the rule. memory_mb: of its largest arrays.
        disk_mb: of what it stores.
    """

    seconds: float = 0.0
    memory_mb: float = 0.0
    disk_mb: float = 0.0


@cache
def speeds() -> Mapping[str, float]:
    """Seconds on one core by what is counted, as measured."""
    found: Mapping[str, float] = json.loads(PASSES.read_text(encoding="utf-8"))
    return found


def network_s(work: PassWork, images: float, batch_size: int) -> float:
    """Seconds of one forward pass of so many images in batches."""
    speed = speeds()
    calls = math.ceil(images / max(1, min(batch_size, images)))
    each = work.dense * speed["dense_s"] + work.conv * speed["conv_s"] + work.values * speed["value_s"]
    return calls * work.layers * speed["layer_s"] + images * each


class Job:
    """What the counts below read: settings of a job, its network and its images."""

    def __init__(self, config: Config, names: Names) -> None:
        self.config, self.names = config, names

    def section(self, name: str) -> Mapping[str, Any]:
        """Settings of a section as they hold for the job's dataset."""
        return section_for(self.config, name, self.names["dataset"])

    def sizes(self, dataset: str | None = None) -> Sizes:
        return sizes_of(self.config, self.names["dataset"] if dataset is None else dataset)

    def network(self, model: str | None = None) -> PassWork:
        sizes = self.sizes()
        entry = self.config["models"][self.names["model"] if model is None else model]
        return pass_work(entry, sizes.shape, sizes.classes)

    def attacked(self) -> int:
        """Adversarial images of the job's attack, were all successful."""
        entry, sizes = self.config["attacks"][self.names["attack"]], self.sizes()
        each = sizes.classes - 1 if entry["targets"] == "all" else 1
        return min(entry["images"], sizes.test) * each

    def study(self) -> tuple[Mapping[str, Any], Sizes, PassWork]:
        """Settings of the job's study of logits, its images and its network."""
        entry = self.config["logits"]["studies"][self.names["study"]]
        sizes = self.sizes(entry["dataset"])
        return entry, sizes, pass_work(self.config["models"][entry["model"]], sizes.shape, sizes.classes)

    def arrays(self, sizes: Sizes, work: PassWork | None = None, batch_size: int = 0) -> float:
        """Megabytes of a dataset, and of what a network's layers put out for a batch."""
        values = 0.0 if work is None else batch_size * (work.values + sizes.values) + work.parameters
        return FLOAT * (sizes.values * (sizes.train + sizes.test) + values) / MB
