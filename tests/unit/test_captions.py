"""Captions are valid, and those of figures say at which scale and from how many samples."""

import re
from pathlib import Path

import pytest
import yaml
from docutils.core import publish_parts
from jinja2 import Environment

from pipeline.config.schema import resolve
from pipeline.data.sizes import PUBLIC
from pipeline.figures.scale import figure_scale

ROOT = Path(__file__).resolve().parents[2]
CAPTIONS = sorted((ROOT / "report").glob("*.rst"))
RULES = "\n".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk"))).split("\nrule ")
# All that are drawn from a catalogue's entry: the picture of the ledger has the ledger's scales.
FIGURES = sorted(
    {
        name
        for rule in RULES
        if "spec=figure_param" in rule and "/scripts/figures/" in rule
        for name in re.findall(r"report/(\w+)\.rst", rule)
    }
)

COUNTED = re.compile(r"\bn\b|[Nn]othing is\s+sampled")

WITHOUT_DATA = {"cone_views", "cone_persistence", "norms", "orthant_spectra", "wedge_crossings", "toy_images",
                "toy_planes", "surrogate_logits", "loss_surface"}  # fmt: skip


@pytest.fixture(scope="module")
def config():
    return resolve(yaml.safe_load((ROOT / "config.yaml").read_text()))


@pytest.mark.parametrize("path", CAPTIONS, ids=lambda path: path.stem)
def test_a_caption_is_valid(path):
    text = path.read_text()
    Environment().parse(text)
    plain = re.sub(r"{{.*?}}", "results/a.h5", text)
    settings = {"report_level": 2, "halt_level": 2, "warning_stream": False}
    assert publish_parts(plain, writer="html5", settings_overrides=settings)["fragment"]


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_says_its_scale_and_what_n_counts(name):
    text = (ROOT / "report" / f"{name}.rst").read_text()
    assert COUNTED.search(text)
    assert ("snakemake.params.scale" in text) != (name in WITHOUT_DATA)


def test_the_scale_names_what_a_figure_is_made_from(config):
    catalogue = config["figures"]["catalogue"]
    found = {name: figure_scale(config, name) for name in catalogue}
    assert found["bell/figure_10"] == (
        "mnist5k (4,000 training and 1,000 test images); network fc-100-20-10; attack igsm-all"
    )
    for name, entry in catalogue.items():
        parts = [entry.get(key) for key in ("dataset", "model", "attack", "study", "network")]
        parts += [*entry.get("rows", {}).values(), *entry.get("attacks", ())]
        for part in filter(None, parts):
            assert part in found[name]
    without = {entry["plot"] for name, entry in catalogue.items() if not found[name]}
    assert without == WITHOUT_DATA


def test_the_scale_counts_the_training_images_of_this_run(config):
    config["datasets"]["mnist5k"]["train"] = 700
    assert "(700 training and " in figure_scale(config, "bell/zoo")
    config["datasets"]["mnist5k"]["train"] = None
    assert f"({PUBLIC['mnist5k'][1]:,} training and " in figure_scale(config, "bell/zoo")
