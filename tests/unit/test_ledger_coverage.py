"""The ledger is complete: every published number and every statement has rows, no row is without ground, none is typed."""

import csv
from pathlib import Path

import numpy as np
import pytest
import yaml

from neighborhoods.evidence.statistics import STATISTICS
from neighborhoods.evidence.verdicts import NOT_RUN, VERDICTS
from pipeline.claims.ledger import DECIDED, NEEDED, OPTIONAL, PART_KEYS, UNMEASURED, ledger_files, load
from pipeline.claims.published_numbers import read_numbers
from pipeline.claims.runs import LEAST_FILES, claim_kernels, offers
from pipeline.config.schema import resolve
from pipeline.figures.claims import LOOKS
from pipeline.store import Provenance
from scripts.tables.claims import decide
from tests.unit.claim_cases import layers, robust, summary

ROOT = Path(__file__).resolve().parents[2]
# Whose number takes the source's training images, which no configuration gives this network.
BEYOND = ("weight-norm-on-the-path", "change")
COLUMNS = ["id", "source", "claim", "published", "measured", "low", "high", "n", "scale", "verdict", "evidence"]


@pytest.fixture(scope="module")
def claims():
    return load(ROOT, {})


@pytest.fixture(scope="module")
def offered():
    return offers(ROOT)


@pytest.fixture(scope="module")
def config():
    return resolve(yaml.safe_load((ROOT / "config.yaml").read_text()))


def test_every_published_number_stands_beside_a_measured_one(claims):
    named = {place for claim in claims for part in claim.parts for place in part.places}
    assert named == read_numbers(ROOT).keys()


def test_every_statement_is_decided_by_the_entries_it_names(claims):
    statements = yaml.safe_load((ROOT / "published/statements.yaml").read_text())
    listed = [entry for group in statements.values() for entry in group]
    # A statement has entries, or says why there is nothing to decide.
    assert all({"says"} < entry.keys() <= {"says", "claims", "nothing"} and len(entry) == 2 for entry in listed)
    named = [name for entry in listed for name in entry.get("claims", [])]
    assert len(named) == len(set(named))
    assert set(named) == {claim.original for claim in claims}
    # Which file of the ledger it stands in: the anchors beside what they belong to.
    own = {claim.id: claim.group.split("_")[0] for claim in claims}
    for group, entries in statements.items():
        for name in (name for entry in entries for name in entry.get("claims", [])):
            assert own[name] == group.split("_")[0], name


def test_no_key_can_say_a_verdict(claims):
    keys = NEEDED | DECIDED | UNMEASURED | OPTIONAL | PART_KEYS
    assert not {key for key in keys if "verdict" in key}
    # All that is taken from the ledger's text is what is printed, and how it is tested.
    for path in ledger_files(ROOT)[1:]:
        for entry in yaml.safe_load(path.read_text()):
            assert entry.keys() <= keys - {"network"}, entry["id"]
            texts = [value for key, value in entry.items() if key not in ("claim", "source", "unmeasured")]
            assert not set(VERDICTS) & set(_strings(texts)), entry["id"]
    # What no result decides is computing time alone.
    assert {claim.id for claim in claims if claim.unmeasured} == {"compute-of-part-1", "seguin-hours"}


def _strings(value):
    if isinstance(value, dict):
        value = [*value, *value.values()]
    return [text for each in value for text in _strings(each)] if isinstance(value, list) else [str(value)]


def test_every_statistic_is_used_and_every_one_used_is_there(claims):
    assert {claim.statistic for claim in claims} - {""} == STATISTICS.keys()


def test_entries_with_a_number_state_its_tolerance(claims):
    numbers = [claim for claim in claims if claim.statistic and any(part.published is not None for part in claim.parts)]
    assert len(numbers) > 40
    # One is told by the residual that the source prints.
    assert {claim.id for claim in numbers if "olerance" not in claim.claim} == {"tilting-closed-form"}


def test_verdicts_have_looks():
    assert set(LOOKS) == set(VERDICTS)


def test_what_a_run_does_not_decide_some_configuration_does(claims, offered):
    for claim in load(ROOT, {"mnist": "mnist5k"}):
        for place, part in enumerate(claim.parts):
            found = [
                offer
                for offer in offered
                for one in [offer.claims[claim.original]]
                if offer.decides(one, one.parts[place])
            ]
            assert found or claim.unmeasured or (claim.id, part.name) == BEYOND, (claim.id, part.name)
            assert not found or (claim.id, part.name) != BEYOND


def test_rows_of_a_run_without_results_say_what_they_need(tmp_path, monkeypatch, config):
    monkeypatch.chdir(tmp_path)
    roles = {"studies": {}, "datasets": {"mnist": "mnist5k"}, "kernels": claim_kernels(config), "confidence": 0.95}
    outputs = ["claims.csv", "limits.csv"]
    decide(results=[], outputs=outputs, root=str(ROOT), artefacts={}, provenance=Provenance(), **roles)
    with open("claims.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == COLUMNS
    for row in rows:
        assert row["verdict"] == NOT_RUN
        assert row["scale"].startswith("needs ")
        beyond = "no configuration" if row["id"].startswith(BEYOND[0]) else "no result decides it"
        assert row["evidence"].startswith(("with config", "no result decides it", beyond)), row
    found = {row["id"]: row for row in rows}
    assert found["less-persistent/C-512"]["evidence"].startswith(
        "with config/paper.yaml and config/paper_gpu.yaml: results/"
    )
    assert found["seguin-hours/CIFAR-10-standard"]["published"] == "1.66"
    # What stands for the source's data where a row is about others.
    row = found["seguin-max-logit-digits"]
    assert row["evidence"].startswith("with config/paper.yaml and config/paper_gpu.yaml (row seguin-max-logit)")


def test_a_path_counts_the_training_points_that_are_there():
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["path_kernel"]["networks"]["mnist-16"]["train_samples"] = 60000
    kernels = claim_kernels(resolve(config))
    assert kernels["mnist-16"] == {"scale": "4000 training points, 40 steps", "train": 4000}
    # A number for 60,000 is not decided on 4,000, however many were asked for.
    (claim,) = (claim for claim in load(ROOT, {}, None, kernels) if claim.id == "weight-norm-on-the-path")
    part = next(part for part in claim.parts if part.name == "change")
    assert (part.train, claim.decidable(part, None)) == (60000, False)


def test_protocols_are_what_the_configurations_do(config):
    bell = yaml.safe_load((ROOT / "published/bell.yaml").read_text())["protocol"]
    paper, photos = (
        yaml.safe_load((ROOT / "config" / name).read_text()) for name in ("paper.yaml", "paper_imagenet.yaml")
    )
    assert config["persistence"]["gamma"] == bell["gamma"]
    lbfgs, igsm = paper["attacks"]["lbfgs"], paper["attacks"]["igsm-all"]
    assert (lbfgs["natural_images"], lbfgs["images"]) == (bell["table1"]["natural"], bell["table1"]["adversarial"])
    assert (igsm["images"], igsm["natural_images"]) == (bell["figure_10"]["images"], bell["figure_10"]["natural"])
    assert config["stability"] == {key: bell["figure_09"][key] for key in ("sigma_max", "points", "samples")} | {
        key: value for key, value in config["stability"].items() if key not in bell["figure_09"]
    }
    network = config["models"]["fc-100-20-10"]
    assert (network["hidden"], network["training"]["penalty"]) == (
        bell["figure_09"]["hidden"],
        [bell["figure_09"]["penalty"]],
    )
    stability = photos["datasets"]["imagenet"]["settings"]["stability"]
    assert {key: stability[key] for key in bell["figure_11"]} == bell["figure_11"]
    assert {key: config["norms"][key] for key in bell["figure_19"]} == bell["figure_19"]
    assert {key: config["datasets"]["gaussians"][key] for key in bell["figure_20"]} == bell["figure_20"]
    assert bell["figure_23"]["nodes"] in config["path_kernel"]["variants"]["nodes"]
    assert photos["attacks"]["photos-bim"]["images"] == bell["table2"]["targets"]


GPU = "config/paper.yaml and config/paper_gpu.yaml"


@pytest.mark.parametrize(
    ("name", "part", "expected"),
    [
        # From epoch 100 on: 25 epochs on CIFAR-10 are too few, and so are 15 on digits.
        ("seguin-late-logits-alike", "gap-mean", {GPU}),
        ("seguin-late-test-gaps-skewed", "skewness", {GPU}),
        ("seguin-late-logits-alike-digits", "gap-mean", set()),
        ("seguin-late-test-gaps-skewed-digits", "skewness", set()),
        # Students of several epochs, or of several numbers of logits.
        ("seguin-late-teachers", "", {GPU}),
        ("seguin-late-teachers-stay-robust", "", {GPU}),
        ("seguin-late-teachers-cannot-distil", "", {GPU}),
        ("seguin-robustness-rises-with-k", "permute", {"config/logits_cifar10.yaml", GPU}),
        ("seguin-robustness-rises-with-k", "average", {GPU}),
        ("seguin-robustness-rises-with-k-digits", "average", set()),
    ],
)
def test_only_configurations_that_can_decide_are_named(offered, name, part, expected):
    found = {offer.name: offer.claims[name] for offer in offered}
    place = next(place for place, one in enumerate(found[GPU].parts) if one.name == part)
    assert {
        offer.name for offer in offered if offer.decides(found[offer.name], found[offer.name].parts[place])
    } == expected


@pytest.mark.parametrize(
    ("statistic", "arguments"),
    [
        ("rank_trend", {"group": "s", "expects": 1}),
        ("accuracy_trend", {"of": "adversarial", "expects": 1}),
        ("last_of_best", {"least": 0.5}),
        ("ends_lower", {"of": "l1"}),
        ("capacity_tracks", {"least": 0.5}),
        ("capacity_over_simulated", {"expects": 1}),
    ],
)
def test_a_statistic_says_nothing_of_fewer_files_than_are_asked_for(statistic, arguments):
    make = {
        "rank_trend": lambda place: summary("s", 1.0 + place),
        "ends_lower": lambda place: {"history/l1": [9.0, 1.0 + place]},
        "capacity_tracks": lambda place: layers(0.2 + 0.1 * place),
        "capacity_over_simulated": lambda place: layers(0.2 + 0.1 * place),
    }.get(statistic, lambda place: robust(0.8 - 0.1 * place))
    cells = [{key: np.asarray(value) for key, value in make(place).items()} for place in range(LEAST_FILES[statistic])]
    assert STATISTICS[statistic](cells, confidence=0.95, **arguments) is not None
    assert STATISTICS[statistic](cells[:-1], confidence=0.95, **arguments) is None
