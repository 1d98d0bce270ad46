"""The whole workflow on the smoke configuration: results keep the contract and are the same twice."""

import csv
import hashlib
import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy import stats

from pipeline.provenance import verify
from pipeline.provenance.history import read_provenance, result_files
from pipeline.results.shared import read_split
from pipeline.store import reading
from tests.conftest import Checkout, job_counts
from tests.figure_checks import COUNTED

SMOKE = ("--configfile", "config/smoke.yaml")


def hashes(folder: Path) -> dict[str, str]:
    """Digest of every stored result and figure."""
    kinds = (".h5", ".png", ".pdf", ".csv")
    files = sorted(path for path in (folder / "results").rglob("*") if path.suffix in kinds)
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def results(smoke: Checkout) -> Path:
    return smoke.folder / "results"


def test_smoke_is_small(smoke):
    log = (smoke.folder / "smoke.log").read_text()
    assert sum(job_counts(log).values()) <= 40


def test_ready_jobs_are_looked_at_once_for_each_job_that_ends(smoke):
    # Snakemake's own limit of jobs a second looked 2,720 times for the first 22 of them.
    log = (smoke.folder / "smoke.log").read_text()
    assert 2 <= log.count("Ready jobs:") <= 2 * sum(job_counts(log).values())


def test_every_file_keeps_the_contract(results):
    files = sorted(results.rglob("*.h5"))
    assert len(files) == 22
    for path in files:
        with h5py.File(path) as plain:
            assert {"spec", "seed", "script", "libraries", "device"} <= set(plain.attrs)
            assert "code" in json.loads(plain.attrs["spec"])
        with reading(path) as file:
            for name in file.names():
                file.read(name)


def test_nothing_unfinished_stays(results):
    assert [path.name for path in results.rglob(".*")] == []


def test_the_splits_do_not_share_images_and_are_balanced(results):
    train, test = (read_split(results / "data/mnist5k.h5", name) for name in ("train", "test"))
    assert train.images.shape == (1000, 1, 28, 28)
    assert train.images.dtype == np.uint8
    seen = {image.tobytes() for image in train.images}
    assert not any(image.tobytes() in seen for image in test.images)
    assert sorted(test.order) == list(range(200))
    # 1200 of 5000 drawn without replacement: a class's count has mean 120, standard deviation 9.1.
    counts = np.bincount(np.concatenate([train.labels, test.labels]), minlength=10)
    assert np.all(np.abs(counts - 120) < 5 * 9.1)


def test_attacks_are_verified(results):
    with reading(results / "attacks/mnist5k/fc-100-20-10/igsm-all.h5") as file:
        x, x_adv, label, target, predicted, success, distortion = (
            file.read(name) for name in ("x", "x_adv", "label", "target", "predicted", "success", "distortion")
        )
    assert len(x) == 27
    assert np.array_equal(success, predicted == target)
    assert not np.any(label == target)
    assert x_adv.min() >= 0
    assert x_adv.max() <= 1
    assert np.abs(x_adv - x).max() <= 0.3 + 1e-6
    assert distortion == pytest.approx(np.sqrt(((x_adv - x).astype(float) ** 2).mean((1, 2, 3))), rel=1e-9)


def test_persistence_carries_intervals_and_a_summary(results):
    with reading(results / "persistence/mnist5k/c-2/igsm-untargeted.h5") as file:
        for name in ("natural", "adversarial"):
            group = file.read_group(name)
            ok = group["status"] == "ok"
            assert set(group["status"]) <= {"ok", "censored_low", "censored_high"}
            assert np.all(group["low"] <= group["sigma"])
            assert np.all(group["sigma"] <= group["high"])
            assert np.all(group["high"][ok] > group["low"][ok])
            assert group["summary/n"] == len(ok)
            assert group["summary/mean"] == pytest.approx(group["sigma"].mean())
            assert group["summary/censored_low"] == (group["status"] == "censored_low").sum()


def test_stability_holds_curves_and_examples(results):
    with reading(results / "stability/mnist5k/fc-100-20-10/igsm-one.h5") as file:
        sigma = file.read("sigma")
        natural, adversarial = file.read_group("natural"), file.read_group("adversarial")
    assert sigma == pytest.approx(1.6 * np.linspace(0.1, 1, 10) ** 2)
    assert natural["frequency"].shape == (1, 10, 10)
    assert len(adversarial["frequency"]) >= 1
    for group in (natural, adversarial):
        assert group["frequency"].sum(2) == pytest.approx(1)
        assert np.all((group["low"] <= group["frequency"]) & (group["frequency"] <= group["high"]))
        assert group["examples"].shape[1:] == (6, 1, 28, 28)


def test_interpolation_follows_the_line_for_each_gamma(results):
    with reading(results / "interpolation/mnist5k/fc-100-20-10/igsm-all.h5") as file:
        sigma, low, high = (file.read(name, ("pair", "point", "gamma")) for name in ("sigma", "low", "high"))
        label, index, gamma = file.read("label"), file.read("index"), file.read("gamma")
    assert gamma.tolist() == [0.6, 0.7]
    assert sigma.shape == (2, 5, 2)
    assert len(set(index)) == 2
    assert np.all((low <= sigma) & (sigma <= high))
    # From the same samples, a larger share is lost earlier; 1 % is the bisection's width.
    assert np.all(sigma[..., 1] <= sigma[..., 0] * 1.01)
    assert np.all(label[:, 0] != label[:, -1])
    with reading(results / "data/mnist5k.h5") as file:
        assert np.array_equal(label[:, 0], file.read("y_test")[index])


def test_table_1_stands_beside_the_published_values(results):
    with open(results / "tables/bell/table1.csv", newline="") as file:
        rows = {row["network"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["FC10-4", "FC10-0", "FC100-100-10", "FC200-200-10", "C-4"]
    assert float(rows["FC10-0"]["published_adversarial"]) == 12.22
    assert float(rows["C-4"]["published_accuracy_pct"]) == 97.36
    with reading(results / "persistence/mnist5k/fc10-4/lbfgs.h5") as file:
        natural, adversarial = file.read("natural/sigma"), file.read("adversarial/sigma")
    row = rows["FC10-4"]
    assert float(row["natural"]) == pytest.approx(natural.mean())
    assert float(row["adversarial_se"]) == pytest.approx(stats.sem(adversarial))
    assert float(row["adversarial_minus_natural_mean"]) == pytest.approx(adversarial.mean() - natural.mean())
    welch = stats.ttest_ind(adversarial, natural, equal_var=False).confidence_interval()
    assert float(row["adversarial_minus_natural_low"]) == pytest.approx(welch.low)
    # Published: adversarial images outlast natural ones on FC10-4.
    decided = "supported" if welch.low > 0 else "contradicted" if welch.high < 0 else "undecided"
    assert row["published_sign"] == decided


def test_claims_are_decided_from_what_was_measured(results):
    with open(results / "claims.csv", newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    with open(results / "tables/bell/table1.csv", newline="") as file:
        table = next(row for row in csv.DictReader(file) if row["network"] == "FC10-4")
    row = rows["less-persistent/FC10-4"]
    assert row["measured"] == table["adversarial_minus_natural_mean"]
    assert row["evidence"] == "results/persistence/mnist5k/fc10-4/lbfgs.h5; results/tables/bell/table1.csv"
    assert row["scale"] == "1000 training images, of 60000 in the source"
    # A number needs more, and the row says which configuration has it.
    row = rows["table1-accuracy/FC10-4"]
    assert row["scale"] == "1000 training images; needs 60000 training images"
    assert "with config/mnist_full.yaml: results/models/mnist/fc10-4.h5" in row["evidence"]
    # The closed form is met at any scale; numbers of networks need the training images of the source.
    assert rows["cone-persistence/k=1"]["published"] == "1.907"
    assert float(rows["cone-persistence/k=1"]["low"]) < 1.907 < float(rows["cone-persistence/k=1"]["high"])
    assert rows["table1-accuracy/FC10-4"]["verdict"] == "not run at this scale"
    for row in rows.values():
        assert row["scale"]
        assert row["evidence"]
        for path in row["evidence"].split("; "):
            made = path.startswith(("with config", "no configuration", "no result", "no number from"))
            assert made or (results.parent / path).is_file()
        assert row["verdict"] == "not run at this scale" or row["measured"]


def test_results_hold_what_the_ledger_names(results):
    """A part whose files are all there has a number, but for those that this small run cannot have."""
    with open(results / "claims.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["id"] for row in rows if "no number from" in row["evidence"]} == {
        # Cones of at most three faces, and norms in 16 and 64 dimensions.
        *(f"{claim}/k={k}" for claim in ("cone-persistence", "longer-outside") for k in (5, 10, 20, 50, 100)),
        *(
            f"{claim}/n={n}"
            for claim in ("wider-norms", "norm-of-the-gaussian", "gaussian-annulus")
            for n in (784, 196608)
        ),
        # One network of a family, no adversarial class that another surpasses, and no gamma of one half or below.
        "capacity-distortion/fully-connected",
        "capacity-persistence/fully-connected",
        "background-class",
        "too-small-gamma",
    }
    measured = [row for row in rows if row["measured"]]
    assert len(measured) > 20


def test_the_kernel_predicts_the_network(results):
    with reading(results / "path_kernel/gaussians-16-16/kernel.h5") as file:
        gap = np.abs(file.read("prediction") - file.read("network"))
        assert gap.max() <= file.read("tolerance")
        assert file.read("residual").max() <= file.read("tolerance")
        assert file.read("contributions").sum(1) + file.read("start") == pytest.approx(file.read("prediction"))


def test_two_runs_in_two_clones_give_equal_bytes(smoke, tmp_path, monkeypatch):
    # Packages of the same names elsewhere, as an installed copy would be, must not be imported.
    for package in ("neighborhoods", "pipeline"):
        (tmp_path / "installed" / package).mkdir(parents=True)
        (tmp_path / "installed" / package / "__init__.py").write_text("raise ImportError('the installed copy')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "installed"))
    other = Checkout(tmp_path / "elsewhere" / "clone")
    run = other.snakemake("--cores", "1", *SMOKE)
    assert run.returncode == 0, run.stdout
    for log in (other.folder / "logs").rglob("*.log"):
        assert f"code from {other.folder}\n" in log.read_text()
    assert hashes(other.folder) == hashes(smoke.folder)
    # Results, figures of three files each, of which fifteen show the ledger, and tables.
    assert len(hashes(other.folder)) == 22 + 3 * (12 + 15) + 5


def test_every_figure_has_its_numbers(results):
    pictures = sorted((results / "figures").rglob("*.png"))
    assert len(pictures) == 12 + 15
    for picture in pictures:
        with open(picture.with_suffix(".csv"), newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        drawn = [row for row in rows if row["series"] and not row["kind"].endswith("axis")]
        assert drawn, picture
        assert any(COUNTED.search(row["text"]) for row in rows), picture
        columns = [key for key in rows[0] if key not in ("panel", "kind", "series", "part", "color", "text")]
        assert all(np.isfinite(float(row[key])) for row in drawn for key in columns if row[key] not in ("", "inf"))


def test_numbers_of_figures_are_those_of_the_results(results):
    def rows_of(figure, kind, series):
        with open(results / "figures" / f"{figure}.csv", newline="", encoding="utf-8") as file:
            return [row for row in csv.DictReader(file) if (row["kind"], row["series"]) == (kind, series)]

    with reading(results / "interpolation/mnist5k/fc-100-20-10/igsm-all.h5") as file:
        t, gamma = file.read("t"), file.read("gamma")
        sigma, low = (file.read(name)[0, :, 0] for name in ("sigma", "low"))
    bars = rows_of("bell/figure_12", "error bar", f"γ = {gamma[0]:g}")
    assert [float(row["x"]) for row in bars] == t.tolist()
    assert [float(row["y"]) for row in bars] == sigma.tolist()
    # Drawn are lengths of bars, so that ends are a difference's rounding away.
    assert [float(row["y_low"]) for row in bars] == pytest.approx(low, rel=1e-12)
    with reading(results / "stability/mnist5k/fc-100-20-10/igsm-one.h5") as file:
        noise, natural, name = file.read("sigma"), file.read_group("natural"), str(file.read("classes")[3])
    band = [row for row in rows_of("bell/figure_09", "band", name) if row["panel"] == "1"]
    assert [float(row["x"]) for row in band] == noise.tolist()
    assert [float(row["y_high"]) for row in band] == natural["high"][0, :, 3].tolist()
    with reading(
        results / "norms.h5" if (results / "norms.h5").is_file() else next(results.glob("norms/*.h5"))
    ) as file:
        dimension = int(file.read("dimensions")[0])
        density, edges = (file.read(f"{dimension}/ball/{part}") for part in ("density", "edges"))
    with open(results / "figures/bell/figure_19.csv", newline="", encoding="utf-8") as file:
        steps = [row for row in csv.DictReader(file) if row["kind"] == "steps" and row["panel"] == "2"]
    assert [float(row["y"]) for row in steps] == density.tolist()
    assert [float(row["x_low"]) for row in steps] == edges[:-1].tolist()


def test_the_record_of_the_run_names_and_hashes_every_result(smoke, results):
    found = read_provenance(smoke.folder)
    assert found["run"]["outcome"] == "success"
    assert found["config"]["path_kernel"]["run"]
    # The copy that tests run is no repository.
    assert found["code"]["commit"] is None
    assert found["code"]["reason"]
    known = found["results"]
    assert list(known) == [path.as_posix() for path in result_files(smoke.folder)]
    assert {name: entry["sha256"] for name, entry in known.items()} == hashes(smoke.folder)
    for path in results.rglob("*.h5"):
        entry = known[path.relative_to(smoke.folder).as_posix()]
        with reading(path) as file:
            assert entry["spec"] == hashlib.sha256(file.attribute("spec").encode()).hexdigest()
            assert (entry["seed"] or 0) == file.attribute("seed")
            assert file.attribute("script").endswith(entry["rule"])
            assert entry["script"].startswith(file.attribute("script").removesuffix(f"/{entry['rule']}"))
    assert verify.main(["--directory", str(smoke.folder)]) == 0


def test_a_failed_run_and_one_of_a_part_leave_a_record_too(smoke, tmp_path):
    copy = Checkout.copy_of(smoke, tmp_path / "checkout")
    before = read_provenance(copy.folder)["results"]
    figure, table = "results/figures/bell/figure_19", "results/tables/bell/table3.csv"
    (copy.folder / table).unlink()
    copy.edit("scripts/figures/norms.py", "drawing(style)", "drawing(1 / 0)")
    run = copy.forked_snakemake(f"{figure}.png", table, "--cores", "1", *SMOKE)
    assert run.returncode == 1, run.stdout
    after = read_provenance(copy.folder)
    assert after["run"]["outcome"] == "error"
    gone = {f"{figure}.{kind}" for kind in ("png", "pdf", "csv")}
    assert set(after["results"]) == set(before) - gone
    assert after["results"][table]["sha256"] == before[table]["sha256"]
    assert after["results"][table]["finished"] > before[table]["finished"]
    unchanged = set(before) - gone - {table}
    assert all(after["results"][name] == before[name] for name in unchanged)
    written = (copy.folder / "results/provenance.json").stat().st_mtime_ns
    assert copy.forked_snakemake(table, "--cores", "1", *SMOKE).returncode == 0
    assert (copy.folder / "results/provenance.json").stat().st_mtime_ns == written, "nothing was done"
