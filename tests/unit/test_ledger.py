"""The ledger of published claims: what is in it, and that results decide it."""

import csv
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy import stats

from neighborhoods.evidence.statistics import STATISTICS
from neighborhoods.evidence.verdicts import NOT_REPRODUCED, NOT_RUN, REPRODUCED, UNDECIDED
from neighborhoods.statistics.intervals import summarize
from pipeline.claims.ledger import load, results_of
from pipeline.claims.rule import claim_inputs, claims_spec
from pipeline.config.schema import resolve
from pipeline.errors import UserError
from pipeline.plan.selection import result_paths
from pipeline.plan.study_comparison import names_of
from pipeline.results.shared import put_summary
from pipeline.store import Provenance, writing
from scripts.tables.claims import decide

ROOT = Path(__file__).resolve().parents[2]
ROLES = {"mnist": "digits", "imagenet": "photos"}
STUDY_ROLES = {"cifar10": "cifar10", "cifar100": "cifar100"}
STUDENT = {
    **{"teacher": "adversarial", "epoch": None, "loss": "l1", "temperature": 1.0, "keep": None},
    **{"rest": "permute", "correct": False, "order": None},
}
# Every student that the ledger may name.
STUDY = {
    "seeds": [0, 1, 2],
    "teacher_epoch": {"standard": 200, "adversarial": 40},
    "students": {
        "normal": STUDENT,
        **{f"keep-{k}": {**STUDENT, "keep": k} for k in (1, 3, 7)},
        "corrected": {**STUDENT, "keep": 1, "correct": True},
        "ordered": {**STUDENT, "order": "standard"},
        **{
            f"{loss}-{epoch}": {**STUDENT, "epoch": epoch, "loss": loss}
            for loss in ("l1", "kl")
            for epoch in (20, 60, 100, 200)
        },
    },
}
OUTPUTS = ["claims.csv", "claim_limits.csv"]
NO_STUDIES = {"studies": {}, "kernels": {}, "provenance": Provenance()}
FILES = {
    "data": "results/data/digits.h5",
    "persistence": "results/persistence/digits/{}/lbfgs.h5",
}


@pytest.fixture(scope="module")
def config():
    return resolve(yaml.safe_load((ROOT / "config.yaml").read_text()))


def test_every_entry_can_be_decided():
    numbers = yaml.safe_load((ROOT / "published/bell.yaml").read_text())["table1"]
    roles = {**ROLES, **STUDY_ROLES}
    studies = {role: {"names": names_of(role, STUDY), "scale": role, "as_published": []} for role in roles}
    claims = load(ROOT, roles, studies)
    for claim in claims:
        assert (claim.statistic in STATISTICS) != bool(claim.unmeasured)
        assert claim.source
        assert claim.claim.endswith(".")
        for part in claim.parts:
            assert part.results or claim.unmeasured
            assert all(path.startswith("results/") and "{" not in path for path in part.results)
    # Every number of Table 1 has a row.
    rows = Counter(claim.id for claim in claims for part in claim.parts if claim.id.startswith("table1"))
    assert rows == dict.fromkeys(("table1-accuracy", "table1-distortion", "table1-natural", "table1-adversarial"), 14)
    published = {part.name: part.published for part in next(c for c in claims if c.id == "table1-natural").parts}
    assert published == {name: row["natural"] for name, row in numbers.items()}
    ratios = {part.name: part.published for part in next(c for c in claims if c.id == "table2-ratio").parts}
    assert ratios["VGG16-MIFGSM"] == pytest.approx(0.0149 / 0.0018)


def test_numbers_of_a_network_are_decided_on_no_other():
    published = [
        (claim, part) for claim in load(ROOT, ROLES) for part in claim.parts if claim.data == "results/data/photos.h5"
    ]
    numbers = [part for claim, part in published if part.published is not None]
    # Eight lines of Table 2 in four columns, and figures 5 and 6.
    assert len(numbers) == 4 * 8 + 2
    assert all("/alexnet/" in path or "/vgg16/" in path for part in numbers for path in part.results)


def test_a_role_that_no_dataset_plays_leaves_its_claims_without_results():
    paths = results_of(load(ROOT, {}))
    # Claims about a network of the path kernel play no role.
    others = {path for path in paths if not path.startswith("results/path_kernel/")}
    assert others == {
        "results/cones/orthants.h5",
        "results/norms/gaussian_and_ball.h5",
        "results/wedges/spectra_and_crossings.h5",
        "results/tilting/toy.h5",
        "results/logit_surfaces/surfaces.h5",
        "results/capacities/points_and_balls.h5",
    }


def test_inputs_are_what_the_configuration_measures(config):
    inputs = claim_inputs(config, ROOT)
    assert set(inputs) <= set(result_paths(config))
    assert "results/persistence/mnist5k/c-4/lbfgs.h5" in inputs
    assert "results/asymmetry/mnist5k/fc200-200-10/lbfgs.h5" in inputs
    assert "results/path_kernel/mnist-fc/study.h5" in inputs
    assert "results/path_kernel/mnist-fc/path.h5" not in inputs
    kernel = {**config["path_kernel"], "run": []}
    fewer = {**config, "experiments": config["experiments"][:1], "artefacts": [], "path_kernel": kernel}
    assert claim_inputs(fewer, ROOT) == [
        "results/data/mnist5k.h5",
        "results/stability/mnist5k/fc-100-20-10/igsm-one.h5",
    ]


def test_the_spec_holds_what_decides_and_no_more(config):
    spec = claims_spec(config, ROOT)
    assert spec["datasets"] == {"mnist": "mnist5k", "imagenet": "imagenet20"}
    assert spec["artefacts"]["bell/table1"] == "results/tables/bell/table1.csv"
    assert "bell/table3" not in spec["artefacts"]
    assert list(spec) == sorted(spec)
    assert claims_spec({**config, "persistence": {}}, ROOT) == spec


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Writes persistence of networks with the means given, decides the ledger, and returns its rows by id."""
    monkeypatch.chdir(tmp_path)

    def decided(means, train=60000, spread=0.3, n=300):
        with writing(FILES["data"], Provenance()) as file:
            file.put("y_train", np.zeros(train, int), "labels", ("image",))
        paths = [FILES["data"]]
        quantiles = stats.norm.ppf((np.arange(n) + 0.5) / n)
        for model, (natural, adversarial) in means.items():
            paths.append(FILES["persistence"].format(model))
            with writing(paths[-1], Provenance()) as file:
                for name, mean in (("natural", natural), ("adversarial", adversarial)):
                    put_summary(file, f"{name}/summary", asdict(summarize(mean + spread * quantiles)), "sigma", "1")
        settings = {"root": str(ROOT), "datasets": ROLES, "confidence": 0.95, **NO_STUDIES}
        decide(results=paths, outputs=OUTPUTS, artefacts={"bell/table1": "table1.csv"}, **settings)
        with open("claims.csv", newline="") as file:
            return {row["id"]: row for row in csv.DictReader(file)}

    return decided


def test_verdicts_follow_the_results(run):
    rows = run({"fc10-4": (0.93, 1.68), "c-4": (0.5, 0.7), "c-8": (0.44, 0.43)})
    found = {name: row["verdict"] for name, row in rows.items()}
    assert found["table1-natural/FC10-4"] == REPRODUCED
    assert found["table1-natural/C-4"] == NOT_REPRODUCED
    assert found["less-persistent/FC10-4"] == REPRODUCED
    assert found["less-persistent/C-4"] == NOT_REPRODUCED
    assert found["less-persistent/C-8"] == UNDECIDED
    assert found["less-persistent/C-16"] == NOT_RUN
    assert found["less-persistent"] == NOT_REPRODUCED
    assert found["table1-accuracy/C-4"] == NOT_RUN
    row = rows["less-persistent/C-4"]
    scale = stats.norm.ppf((np.arange(300) + 0.5) / 300).std(ddof=1) * 0.3
    assert float(row["measured"]) == pytest.approx(0.2)
    # Fourteen networks share the level of the sentence.
    half = stats.t.ppf(1 - 0.05 / 28, 598) * scale * np.sqrt(2 / 300)
    assert (float(row["low"]), float(row["high"])) == pytest.approx((0.2 - half, 0.2 + half))
    assert row["evidence"] == "results/persistence/digits/c-4/lbfgs.h5; table1.csv"
    assert row["scale"] == "60000 training images"


def test_a_changed_result_changes_the_verdict(run):
    assert run({"c-4": (0.5, 0.7)})["less-persistent/C-4"]["verdict"] == NOT_REPRODUCED
    rows = run({"c-4": (0.7, 0.5)})
    assert rows["less-persistent/C-4"]["verdict"] == REPRODUCED
    # No network contradicts the sentence, and the others are not here.
    assert rows["less-persistent"]["verdict"] == NOT_RUN


def test_every_network_makes_the_sentence(run):
    short = ("fc10-4", "fc10-2", "fc10-0")
    deep = ("fc100-100-10", "fc200-200-10", *(f"c-{2**k}" for k in range(1, 10)))
    row = run(dict.fromkeys(short, (0.5, 1.0)) | dict.fromkeys(deep, (1.0, 0.5)))["less-persistent"]
    assert row["verdict"] == REPRODUCED
    assert (row["measured"], row["low"], row["high"], row["n"]) == ("14",) * 4
    # No source prints how many parts its sentence has.
    assert row["published"] == ""


def test_numbers_need_the_published_training_images_and_signs_do_not(run):
    rows = run({"fc10-4": (0.93, 1.68)}, train=4000)
    assert rows["table1-natural/FC10-4"]["verdict"] == NOT_RUN
    assert float(rows["table1-natural/FC10-4"]["measured"]) == pytest.approx(0.93)
    assert rows["less-persistent/FC10-4"]["verdict"] == REPRODUCED


def test_few_noisy_images_leave_claims_undecided(run):
    rows = run({"fc10-4": (0.93, 1.68)}, spread=3.0, n=5)
    assert rows["table1-natural/FC10-4"]["verdict"] == UNDECIDED
    assert rows["less-persistent/FC10-4"]["verdict"] == UNDECIDED


def write_ledger(root, *entries):
    (root / "published/claims").mkdir(parents=True)
    (root / "published/bell.yaml").write_text("table1: {C-4: {natural: 1.0}}")
    (root / "published/claims.yaml").write_text(yaml.safe_dump({"networks": {"C-4": "c-4"}, "files": ["all"]}))
    (root / "published/claims/all.yaml").write_text(yaml.safe_dump(list(entries)))


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"statistic": None}, "lacks statistic"),
        ({"tolerance": 1}, "unknown keys tolerance"),
        ({"parts": ["C-3"]}, "names 'C-3', which is not there"),
        ({"parts": {"a": {"net": "C-4"}}}, "part a has unknown keys net"),
        ({"published": {"table": "table1", "column": "speed"}}, "names 'speed'"),
    ],
)
def test_a_mistake_in_the_ledger_gets_a_sentence(tmp_path, entry, sentence):
    good = {"id": "one", "source": "s", "claim": "c.", "role": "mnist", "statistic": "mean", "parts": ["C-4"]}
    good |= {"results": ["models/{dataset}/{network}"]} | entry
    write_ledger(tmp_path, {key: value for key, value in good.items() if value is not None})
    with pytest.raises(UserError, match=sentence):
        load(tmp_path, ROLES)


def test_ids_are_told_apart(tmp_path):
    entry = {"id": "one", "source": "s", "claim": "c.", "statistic": "mean", "results": ["cones/orthants"]}
    write_ledger(tmp_path, entry, entry)
    with pytest.raises(UserError, match="expected every id once, found more of one"):
        load(tmp_path, ROLES)


def test_the_sources_networks_are_known_by_their_weights(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (claim,) = (claim for claim in load(ROOT, ROLES) if claim.id == "table2-ratio")
    part = next(part for part in claim.parts if part.name == "VGG16-BIM")
    (model,) = part.weights
    spread = np.exp(0.01 * np.random.default_rng(0).standard_normal((2, 30)))
    with writing(part.results[0], Provenance()) as file:
        for group, factor, sigma in (("natural", part.published, spread[0]), ("adversarial", 1.0, spread[1])):
            file.put(f"{group}/sigma", factor * sigma, "persistence", ("image",))
            file.put(f"{group}/index", np.arange(30), "image", ("image",))
            file.put(f"{group}/status", ["ok"] * 30, "status", ("image",))
            put_summary(file, f"{group}/summary", asdict(summarize(factor * sigma)), "persistence", "1")
    with writing("results/data/photos.h5", Provenance()) as file:
        file.put("y_train", np.zeros(0, int), "labels", ("image",))
    for sha256, verdict in ((part.weights[model], REPRODUCED), ("0" * 64, NOT_RUN), (None, NOT_RUN)):
        with writing(model, Provenance()) as file:
            if sha256:
                file.attribute("weights_sha256", sha256)
        settings = {"datasets": ROLES, "artefacts": {}, "confidence": 0.95, **NO_STUDIES}
        held = [*part.results, model, "results/data/photos.h5"]
        decide(results=held, outputs=OUTPUTS, root=str(ROOT), **settings)
        with open("claims.csv", newline="") as file:
            rows = {row["id"]: row for row in csv.DictReader(file)}
        assert rows["table2-ratio/VGG16-BIM"]["verdict"] == verdict
