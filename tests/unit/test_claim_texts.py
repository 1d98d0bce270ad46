"""What the ledger's texts say of settings, spreads and data is so."""

import re
from pathlib import Path

import numpy as np
import pytest

from neighborhoods.evidence.statistics import STATISTICS
from neighborhoods.evidence.students import PUBLISHED_IMAGES
from neighborhoods.evidence.verdicts import NOT_REPRODUCED, REPRODUCED, UNDECIDED
from pipeline.ledger import load
from pipeline.yaml_files import read_yaml

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def claims():
    return {claim.id: claim for claim in load(ROOT, {"mnist": "digits"})}


@pytest.mark.parametrize(
    ("claim", "attack"), [("igsm-faster-than-lbfgs", "igsm-all"), ("igsm-faster-than-lbfgs-photos", "photos-bim")]
)
def test_a_speed_that_is_a_setting_is_stated_as_one(claims, claim, attack):
    (steps,) = re.findall(r"at (\d+) steps of IGSM, which the source does not state", claims[claim].claim)
    assert int(steps) == read_yaml(ROOT / "config.yaml")["attacks"][attack]["steps"]
    for name in ("mnist_full", "paper", "paper_imagenet", "paper_gpu"):
        assert "steps" not in read_yaml(ROOT / "config" / f"{name}.yaml").get("attacks", {}).get(attack, {})


def replica(claim, part):
    """Results of three networks that have the published accuracies to the digit, with the published spread over seeds."""
    spread = part.arguments["deviation"] * np.array([1, 0, -1])
    hits = np.clip(np.round((part.published + spread) / 100 * PUBLISHED_IMAGES), 0, PUBLISHED_IMAGES)
    # The same images are the easy ones for every seed, which leaves the images' own error largest.
    true = np.arange(PUBLISHED_IMAGES) < hits[:, None]
    if claim.statistic == "train_error_near":
        label = np.zeros(PUBLISHED_IMAGES, int)
        return [{"logits": np.eye(2)[wrong.astype(int)], "label": label} for wrong in true]
    lost = 1 if part.arguments["of"] == "adversarial" else -1
    return [{"broken_by": np.where(true, 0, lost), "index": np.arange(PUBLISHED_IMAGES)}]


def test_an_exact_replica_is_reproduced(claims):
    rows = [
        (claim, part)
        for claim in claims.values()
        if claim.statistic in ("accuracy_near", "train_error_near")
        for part in claim.parts
    ]
    assert len(rows) > 20
    for claim, part in rows:
        settings = {"confidence": 0.95, "comparisons": claim.comparisons, "published": part.published}
        found = STATISTICS[claim.statistic](replica(claim, part), **settings, **part.arguments)
        assert found.measured == pytest.approx(part.published, abs=0.01)
        assert found.verdict == REPRODUCED, (claim.id, part.name)


def test_attacks_that_agree_take_as_many_images_as_the_text_says(claims):
    claim = claims["seguin-stronger-attacks-agree"]
    (least,) = map(int, re.findall(r"at least (\d+) images", claim.claim))
    for images, verdict in ((least, REPRODUCED), (least - 1, UNDECIDED)):
        right = np.ones(images, bool)
        cell = {"check/apgd/correct": right, "check/odi/correct": right}
        found = STATISTICS[claim.statistic]([cell], other="odi", points=2.0, confidence=0.95, comparisons=2)
        assert found.verdict == verdict
    study = read_yaml(ROOT / "config" / "paper.yaml")["logits"]["studies"]["cifar10"]
    assert study["robustness"]["check_images"] >= least


def test_a_number_whose_unit_is_unknown_stays_undecided(claims):
    rows = [part for name in ("table2-natural", "table2-adversarial") for part in claims[name].parts]
    assert len(rows) == 16
    assert all("unit unknown" in claims[name].claim for name in ("table2-natural", "table2-adversarial"))
    for part in rows:
        for factor in (1.0, 100.0):
            means = {group: part.arguments["beside"] for group in ("natural", "adversarial")}
            means[part.arguments["of"]] = factor * part.published
            cell = {}
            for group, mean in means.items():
                values = {"sigma": mean * np.linspace(0.9, 1.1, 30), "index": np.arange(30), "status": ["ok"] * 30}
                cell |= {f"{group}/{key}": value for key, value in values.items()}
            found = STATISTICS["mean_persistence"]([cell], published=part.published, confidence=0.95, **part.arguments)
            assert found.measured == pytest.approx(factor * part.published)
            assert found.low < found.measured < found.high
            assert found.verdict == UNDECIDED


def test_an_outlier_of_the_source_is_one(claims):
    natural = {part.name: part.published for part in claims["table1-natural"].parts if part.name.startswith("C-")}
    assert "C-2 is four times as large as that of any other convolutional network" in claims["table1-natural"].claim
    assert natural.pop("C-2") > 4 * max(natural.values())


@pytest.mark.parametrize(("crossing", "verdict"), [(3.523, REPRODUCED), (3.549, REPRODUCED), (3.551, NOT_REPRODUCED)])
def test_crossings_are_judged_where_they_are_and_not_by_the_grid(claims, crossing, verdict):
    (part,) = claims["seguin-surrogates-cross"].parts
    cell = {"beta": 0.05 * np.arange(1, 241), "printed/g_above_psi": [[0.05, 0.29], [1.95, crossing]]}
    found = STATISTICS["positive_from"]([cell], published=part.published, confidence=0.95, **part.arguments)
    assert (found.measured, found.verdict) == (crossing, verdict)


def test_rows_about_other_data_than_the_sources_say_so(claims):
    figures = ("persistence-drops", "small-changes-of-gamma", "sign-for-every-gamma", "too-small-gamma")
    for name in figures:
        assert claims[name].source.endswith("VGG16 on ImageNet), on MNIST, which it does not have")
        assert all("/digits/" in path for part in claims[name].parts for path in part.results)
    assert "which it does not have" not in claims["persistence-drops-photos"].source
    source = claims["kernel-hundred-values"].source
    assert source == "Bell, section 15.2 (MNIST), on points of two Gaussians, which it does not have"
