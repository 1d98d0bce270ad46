"""What the ledger's texts say of settings, spreads and data is so."""

import csv
import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from neighborhoods.evidence.statistics import STATISTICS
from neighborhoods.evidence.students import PUBLISHED_IMAGES
from neighborhoods.evidence.verdicts import NOT_AS_PRINTED, NOT_REPRODUCED, NOT_RUN, REPRODUCED, UNDECIDED
from neighborhoods.statistics.intervals import summarize
from pipeline.claims.ledger import load
from pipeline.figures.claims import read_rows
from pipeline.results.shared import put_summary
from pipeline.store import Provenance, writing
from pipeline.yaml_files import read_yaml
from scripts.tables.claims import decide
from tests.unit.claim_cases import CASES

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


@pytest.fixture
def decided(tmp_path, monkeypatch):
    """Writes summaries of values by file and group, decides the ledger of a run that holds them, and returns its rows."""
    monkeypatch.chdir(tmp_path)

    def rows(values, train, points=500):
        paths = []
        for name, groups in values.items():
            paths.append(f"results/{name}.h5")
            with writing(paths[-1], Provenance()) as file:
                for group, mean in groups.items():
                    put_summary(file, group, asdict(summarize(mean + 0.001 * np.arange(-5, 6))), group, "1")
                if name.startswith("interpolated_weights"):
                    file.put("robust/right", np.ones((2, 3, 4), bool), "right", ("start", "point", "image"))
                    file.put("test_correct/share", np.eye(3)[[2, 2]], "accuracy", ("start", "point"))
        if train is not None:
            paths.append("results/data/digits.h5")
            with writing(paths[-1], Provenance()) as file:
                file.put("y_train", np.zeros(train, int), "labels", ("image",))
        kernels = {"mnist-16": {"scale": f"{points} training points", "train": points}}
        settings = {
            "datasets": {"mnist": "digits"},
            "studies": {},
            "kernels": kernels,
            "artefacts": {},
            "confidence": 0.95,
        }
        outputs = ["claims.csv", "limits.csv"]
        decide(results=paths, outputs=outputs, root=str(ROOT), provenance=Provenance(), **settings)
        with open("claims.csv", newline="") as file:
            return {row["id"]: row for row in csv.DictReader(file)}

    return rows


NORMS = {
    **{"summary/norm_change": 0.1, "summary/norm_monotonicity": 1.0},
    **{f"summary/{name}": 0.9 for name in ("angular_share", "arc_over_chord", "successive")},
}


@pytest.mark.parametrize(
    ("claim", "result", "train", "points", "verdict"),
    [
        ("weight-norm-on-the-line", "interpolated_weights/digits/c-4-short", 4000, 500, NOT_RUN),
        ("weight-norm-on-the-line", "interpolated_weights/digits/c-4-short", 60000, 500, NOT_REPRODUCED),
        ("weight-norm-on-the-path", "path_kernel/mnist-16/geometry", 60000, 500, NOT_RUN),
        ("weight-norm-on-the-path", "path_kernel/mnist-16/geometry", 4000, 60000, NOT_REPRODUCED),
    ],
)
def test_a_printed_number_takes_the_sources_training_and_its_sign_does_not(
    decided, claim, result, train, points, verdict
):
    rows = decided({result: NORMS}, train, points)
    change, whole = rows[f"{claim}/change"], rows[claim]
    assert (change["verdict"], float(change["measured"])) == (verdict, pytest.approx(0.1))
    assert ("needs" in change["scale"]) == (verdict == NOT_RUN)
    assert rows[f"{claim}/monotone"]["verdict"] == REPRODUCED
    assert whole["verdict"] == verdict
    # The row of the sentence counts parts that are decided, and has no published number.
    assert (whole["n"], whole["measured"]) == ("1" if verdict == NOT_RUN else "2", "1")
    assert whole["published"] == ""
    assert ("change" in whole["evidence"]) == (verdict == NOT_RUN)
    assert "monotone" not in whole["evidence"]
    assert len(read_rows("claims.csv", "limits.csv")) == len(rows)


PERSISTENCE = {"persistence/digits/c-4/lbfgs": {"natural/summary": 0.35, "adversarial/summary": 0.027}}


@pytest.mark.parametrize(("train", "verdict"), [(60000, REPRODUCED), (59999, NOT_RUN), (None, NOT_RUN)])
def test_a_dataset_that_is_not_there_does_not_count_as_large_enough(decided, train, verdict):
    assert decided(PERSISTENCE, train)["table1-natural/C-4"]["verdict"] == verdict


@pytest.mark.parametrize(
    ("train", "scale"),
    [(4000, "4000 training images, of 60000 in the source"), (60000, "60000 training images")],
)
def test_what_is_decided_on_fewer_images_than_the_source_has_says_so(decided, train, scale):
    rows = decided(PERSISTENCE, train)
    assert rows["less-persistent/C-4"]["scale"] == scale
    # What is not decided on fewer says what it needs.
    assert rows["table1-natural/C-4"]["scale"].startswith(f"{train} training images")
    assert "in the source" not in rows["table1-natural/C-4"]["scale"]


def test_a_trend_over_some_of_the_networks_names_them(decided):
    order = ("fc10-0", "fc10-4", "fc100-100-10", "fc200-200-10")
    values = {f"attacks/digits/{name}/lbfgs": {"summary": 1.0 - 0.1 * place} for place, name in enumerate(order)}
    row = decided(values, 60000)["capacity-distortion/fully-connected"]
    assert (row["verdict"], row["n"]) == (REPRODUCED, "4")
    assert row["scale"] == "60000 training images; FC10-0, FC10-4, FC100-100-10, FC200-200-10: 4 of 5 networks"
    every = values | {"attacks/digits/fc10-2/lbfgs": {"summary": 0.95}}
    assert decided(every, 60000)["capacity-distortion/fully-connected"]["scale"] == "60000 training images"


class Wrapped(dict):
    """A cell whose values are arrays, as those of stored results."""

    def __getitem__(self, name):
        return np.asarray(super().__getitem__(name))


def test_every_statistic_can_contradict_what_it_decides():
    for name, (cells_of, arguments) in CASES.items():
        found = STATISTICS[name]([Wrapped(cell) for cell in cells_of(False)], confidence=0.95, **arguments)
        assert found.verdict in (NOT_REPRODUCED, NOT_AS_PRINTED), (name, found)


@pytest.mark.parametrize(("classes", "verdict"), [(10, UNDECIDED), (40, NOT_REPRODUCED)])
def test_ten_classes_are_too_few_to_show_that_heads_and_clusters_are_unrelated(claims, classes, verdict):
    claim = claims["head-relates-to-margin"]
    assert "Ten classes can show such a relation, but are too few to show that there is none" in claim.claim
    first, second = np.random.default_rng(0).uniform(1, 2, (2, classes, classes))
    cell = {"head/pair_norm": first + first.T, "clusters/separation": second + second.T}
    found = STATISTICS[claim.statistic]([cell], confidence=0.95, **claim.parts[0].arguments)
    assert found.verdict == verdict
