"""Studies of logits as tables and the ledger name them, and that a number is compared only where the training is alike."""

import copy
import csv
from pathlib import Path

import numpy as np
import pytest
import yaml

from neighborhoods.evidence.verdicts import NOT_RUN, REPRODUCED
from pipeline.claims.ledger import load
from pipeline.errors import UserError
from pipeline.plan.study_comparison import (
    accuracy_rows,
    as_published,
    claim_studies,
    names_of,
    read_published,
    scale_of,
    source_of,
)
from pipeline.store import Provenance, writing
from scripts.tables.claims import decide

ROOT = Path(__file__).resolve().parents[2]
STUDENT = {
    **{"teacher": "adversarial", "epoch": None, "loss": "l1", "temperature": 1.0},
    **{"keep": None, "rest": "permute", "correct": False, "order": None},
}
STUDENTS = {
    "normal": {},
    "fix-7": {"keep": 7},
    "fix-1": {"keep": 1},
    "fix-1-average": {"keep": 1, "rest": "average"},
    "correct-fix-1": {"keep": 1, "correct": True},
    "hybrid": {"order": "standard"},
    "kl": {"loss": "kl"},
    "warm": {"loss": "kl", "temperature": 4.0},
    "late": {"epoch": 100},
    "late-kl": {"epoch": 100, "loss": "kl"},
    "early": {"epoch": 20},
    "of-standard": {"teacher": "standard"},
}
TRAINING = {
    **{"epochs": 200, "batch_size": 128, "learning_rate": 0.1, "momentum": 0.9, "weight_decay": 2e-4},
    **{"drops": [100, 150], "drop_factor": 0.1, "restart_drops": False, "crop": 4, "flip": True},
}
STUDY = {
    "dataset": "cifar10",
    "model": "resnet",
    "seeds": [0, 1, 2],
    "validation": 500,
    "training": TRAINING,
    "adversarial": {"epsilon": 0.03137, "step_size": 0.00784, "steps": 10, "batch_norm": "eval", "warm_up": 0},
    "robustness": {"steps": 100},
    "teacher_epoch": {"standard": 200, "adversarial": 40},
    "distillation": {"draws": 10},
    "students": {name: {**STUDENT, **own} for name, own in STUDENTS.items()},
}
DIGITS = {**STUDY, "dataset": "mnist5k", "model": "small", "validation": 0, "training": {**TRAINING, "epochs": 25}}


@pytest.fixture
def config():
    return copy.deepcopy(
        {
            "datasets": {"cifar10": {"source": "cifar10"}, "mnist5k": {"source": "mnist5k"}},
            "models": {"resnet": {"architecture": "cifar_resnet18"}, "small": {"architecture": "strided_cnn"}},
            "logits": {"studies": {"wide": STUDY, "digits": DIGITS}},
            "claims": {
                "datasets": {"cifar10": "cifar10", "mnist": "mnist5k"},
                "studies": {"cifar10": "wide", "mnist": "digits"},
            },
        }
    )


@pytest.fixture(scope="module")
def published():
    return read_published(ROOT)


def test_students_are_named_by_what_they_learn_from():
    names = names_of("wide", STUDY)
    assert names["seed"] == ["0", "1", "2"]
    assert (names["standard"], names["adversarial"]) == ("standard-e200", "adversarial-e040")
    assert names["students_by_kept"] == ["fix-1", "fix-7", "normal"]
    assert names["students_by_kept_average"] == ["fix-1-average", "normal"]
    assert names["students_by_epoch"] == ["early", "normal", "late"]
    assert names["adversarial_by_epoch"] == ["adversarial-e020", "adversarial-e040", "adversarial-e100"]
    assert (names["l1_e020"], names["l1_e040"], names["l1_e100"]) == ("early", "normal", "late")
    assert [names[key] for key in ("normal", "fix-1", "fix-7", "correct-fix-1", "hybrid")] == [
        *("normal", "fix-1", "fix-7", "correct-fix-1", "hybrid")
    ]
    assert (names["kl_e040"], names["kl_late"], names["l1_late"]) == ("kl", "late-kl", "late")
    assert "kl_e020" not in names
    # Manipulated students, those of another teacher and those of another temperature are no part of these series.
    assert not {"warm", "of-standard"} & {str(name) for name in names.values()}
    plain = names_of("wide", {**STUDY, "students": {"normal": STUDENT}})
    assert "l1_late" not in plain
    assert plain["students_by_kept"] == ["normal"]
    assert not {"fix-1", "hybrid"} & plain.keys()


def test_a_student_is_what_it_learns_and_not_what_it_is_called(config, published):
    students = {
        "fix-1": {**STUDENT, "keep": 3},
        "mine": {**STUDENT, "keep": 1},
        "again": {**STUDENT, "keep": 1, "epoch": 40},
        "fix-1-average": {**STUDENT, "keep": 1, "rest": "average"},
        "normal": {**STUDENT, "epoch": 20},
        "hybrid": {**STUDENT, "order": "standard", "loss": "kl"},
    }
    names = names_of("wide", {**STUDY, "students": students})
    assert (names["fix-1"], names["fix-3"]) == ("mine", "fix-1")
    assert names["students_by_kept"] == ["mine", "fix-1"]
    assert not {"normal", "hybrid"} & names.keys()
    config["logits"]["studies"]["wide"]["students"] = students
    rows = accuracy_rows(config, "wide", list(students), "table2", published)
    lines = {row["network"]: row["published"] for row in rows}
    assert {name: line for name, line in lines.items() if line} == {
        "mine": ["CIFAR-10", "fix-1"],
        "again": ["CIFAR-10", "fix-1"],
    }
    assert [row["teacher_epoch"] for row in rows] == [40, 40, 40, 40, 20, 40]


def test_the_same_training_counts_as_published(config, published):
    assert as_published(config, "wide", published) == ["standard", "adversarial", "students"]
    assert as_published(config, "digits", published) == []
    assert source_of(config, "wide", published) == source_of(config, "digits", published) == "CIFAR-10"
    assert scale_of(config, "digits") == "mnist5k, small, epsilon 0.0314, 25 epochs, 3 seeds"
    config["logits"]["studies"]["digits"]["distillation"] = {"epochs": 30, "draws": 10}
    assert scale_of(config, "digits", "students") == "mnist5k, small, epsilon 0.0314, 30 epochs, 3 seeds"


@pytest.mark.parametrize(
    ("change", "left"),
    [
        ({"seeds": [0]}, []),
        ({"validation": 0}, []),
        ({"model": "small"}, []),
        ({"dataset": "mnist5k"}, []),
        ({"training": {**TRAINING, "learning_rate": 0.05}}, []),
        ({"training": {**TRAINING, "drops": [100]}}, []),
        # Forty epochs make the adversarial teacher, and students of a schedule of their own.
        ({"training": {**TRAINING, "epochs": 40}}, ["adversarial"]),
        (
            {"training": {**TRAINING, "epochs": 40}, "distillation": {"epochs": 200, "draws": 10}},
            ["adversarial", "students"],
        ),
        ({"teacher_epoch": {"standard": 200, "adversarial": 60}}, ["standard"]),
        ({"adversarial": {"epsilon": 0.06, "step_size": 0.00784, "steps": 10, "warm_up": 0}}, ["standard"]),
        ({"adversarial": {**STUDY["adversarial"], "warm_up": 4}}, ["standard"]),
        # A weaker attack measures something else.
        ({"robustness": {"steps": 20}}, []),
        ({"distillation": {"epochs": 30}}, ["standard", "adversarial"]),
    ],
)
def test_another_training_does_not(config, published, change, left):
    config["logits"]["studies"]["wide"] |= change
    assert as_published(config, "wide", published) == left


def test_rows_of_tables_stand_beside_what_they_compare_with(config, published):
    rows = accuracy_rows(config, "digits", ["normal", "fix-7"], "table2", published)
    assert [row["published"] for row in rows] == [["CIFAR-10", "normal"], None]
    assert not any(row["as_published"] for row in rows)
    config["logits"]["studies"]["wide"]["teacher_epoch"] = {"standard": 200, "adversarial": 60}
    rows = accuracy_rows(config, "wide", ["standard", "adversarial"], "table1", published)
    assert [row["as_published"] for row in rows] == [True, False]


def test_the_ledger_knows_the_studies_that_play_roles(config):
    studies = claim_studies(config, ROOT)
    assert studies["cifar10"]["as_published"] == ["CIFAR-10/standard", "CIFAR-10/adversarial", "CIFAR-10/students"]
    assert studies["mnist"]["as_published"] == []
    config["claims"].pop("studies")
    assert claim_studies(config, ROOT) == {}


NUMBER = {
    "id": "number",
    "source": "S",
    "claim": "A number.",
    "role": "cifar10",
    "train": 50000,
    "as_published": "CIFAR-10/students",
    "elsewhere": {"mnist": "digits"},
    "results": ["logits/{study}/robustness/{trained}"],
    "statistic": "accuracy_near",
    "test": {"of": "adversarial", "points": 5.0},
    "parts": {"": {"trained": "normal", "published": "seguin/table2/CIFAR-10/normal/adversarial"}},
}
SIGN = {
    "id": "sign",
    "source": "S",
    "claim": "An order.",
    "role": "cifar10",
    "elsewhere": {"mnist": "digits"},
    "results": ["logits/{study}/robustness/{trained}"],
    "statistic": "accuracy_difference",
    "test": {"of": "adversarial", "expects": 1},
    "parts": {"": {"trained": ["{adversarial}", "{standard}"]}},
}


@pytest.fixture
def checkout(tmp_path):
    """Writes a ledger of entries beside the published numbers, and returns its root."""

    def written(*entries):
        folder = tmp_path / "checkout" / "published"
        (folder / "claims").mkdir(parents=True, exist_ok=True)
        for name in ("bell.yaml", "seguin.yaml"):
            (folder / name).write_bytes((ROOT / "published" / name).read_bytes())
        (folder / "claims.yaml").write_text(yaml.safe_dump({"networks": {}, "files": ["all"]}))
        (folder / "claims" / "all.yaml").write_text(yaml.safe_dump(list(entries)))
        return folder.parent

    return written


@pytest.mark.parametrize(
    ("results", "trained", "paths"),
    [
        (["robustness/{trained}"], "fix-1", ["robustness/fix-1"]),
        (
            ["robustness/{trained}"],
            ["{adversarial}", "{standard}"],
            ["robustness/adversarial-e040", "robustness/standard-e200"],
        ),
        (["robustness/{trained}"], "{students_by_epoch}", ["robustness/early", "robustness/normal", "robustness/late"]),
        (
            ["students/{trained}-s{seed}"],
            ["{l1_late}", "{kl_late}"],
            [f"students/{name}-s{seed}" for name in ("late", "late-kl") for seed in range(3)],
        ),
        # A study without such a student has no results, rather than some of them.
        (["robustness/{trained}"], ["{kl_e020}", "normal"], []),
    ],
)
def test_paths_of_a_study_are_filled_in(checkout, config, results, trained, paths):
    entry = {**SIGN, "results": [f"logits/{{study}}/{one}" for one in results], "parts": {"": {"trained": trained}}}
    own, elsewhere = load(checkout(entry), config["claims"]["datasets"], claim_studies(config, ROOT))
    assert own.parts[0].results == tuple(f"results/logits/wide/{path}.h5" for path in paths)
    assert elsewhere.parts[0].results == tuple(f"results/logits/digits/{path}.h5" for path in paths)
    assert (elsewhere.id, elsewhere.source) == ("sign-digits", "S, on digits, which it does not have")
    assert all(not claim.parts[0].results for claim in load(checkout(entry), config["claims"]["datasets"]))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"results": ["logits/{study}/{students_by_size}"]}, "part  names 'students_by_size', which is not there"),
        (
            {"parts": {"": {"published": "seguin/table2/CIFAR-10/fix-9/natural"}}},
            "CIFAR-10/fix-9/natural', which is not",
        ),
    ],
)
def test_a_mistake_about_studies_gets_a_sentence(checkout, config, change, sentence):
    with pytest.raises(UserError, match=sentence):
        load(checkout({**SIGN, **change}), config["claims"]["datasets"], claim_studies(config, ROOT))


def robustness(path, shares, images=1000):
    broken = np.ones((len(shares), images), int)
    generator = np.random.default_rng(0)
    for row, survives in zip(broken, shares, strict=True):
        row[generator.permutation(images)[: round(survives * images)]] = 0
    with writing(path, Provenance()) as file:
        file.put("broken_by", broken, "attack that broke the image", ("seed", "image"))
        file.put("index", np.arange(images), "position in the test split", ("image",))


def test_numbers_are_decided_where_training_is_alike_and_signs_anywhere(tmp_path, monkeypatch, checkout, config):
    monkeypatch.chdir(tmp_path)
    files = []
    for dataset, count in (("cifar10", 50000), ("mnist5k", 4000)):
        files.append(f"results/data/{dataset}.h5")
        with writing(files[-1], Provenance()) as file:
            file.put("y_train", np.zeros(count, int), "labels", ("image",))
    shares = {"normal": (0.3, 0.31, 0.3), "adversarial-e040": (0.4, 0.42, 0.41), "standard-e200": (0.0, 0.0, 0.01)}
    for study in ("wide", "digits"):
        for network, by_seed in shares.items():
            files.append(f"results/logits/{study}/robustness/{network}.h5")
            robustness(files[-1], by_seed)
    root = checkout(NUMBER, SIGN)

    def rows():
        settings = {"root": str(root), "datasets": config["claims"]["datasets"], "artefacts": {}, "confidence": 0.95}
        decide(
            results=files,
            outputs=["claims.csv", "claim_limits.csv"],
            studies=claim_studies(config, ROOT),
            kernels={},
            provenance=Provenance(),
            **settings,
        )
        with open("claims.csv", newline="") as file:
            return {row["id"]: row for row in csv.DictReader(file)}

    found = rows()
    assert {name: row["verdict"] for name, row in found.items()} == {
        "number": REPRODUCED,
        "number-digits": NOT_RUN,
        "sign": REPRODUCED,
        "sign-digits": REPRODUCED,
    }
    # The number measured on digits is shown beside the published one, with its scale and without a verdict.
    row = found["number-digits"]
    assert (float(row["published"]), float(row["measured"])) == (30.4, pytest.approx(100 * 0.91 / 3))
    own, need = row["scale"].split("; ")
    assert own == "mnist5k, small, epsilon 0.0314, 25 epochs, 3 seeds, 4000 training images"
    assert need == "needs 50000 training images"
    assert found["sign-digits"]["source"] == "S, on digits, which it does not have"
    # CIFAR-10 after another training is no reproduction either.
    config["logits"]["studies"]["wide"]["training"]["epochs"] = 40
    assert {name: row["verdict"] for name, row in rows().items()}["number"] == NOT_RUN
