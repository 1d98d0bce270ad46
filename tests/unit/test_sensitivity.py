"""Scripts that vary the sampling and compare attacks: what they write, against closed forms and SciPy."""

import csv

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy import stats

from neighborhoods.networks.architectures import fully_connected
from pipeline.results.shared import IMAGE_DIMS, one_success_each, put_network, put_split, put_summary
from pipeline.store import Provenance, StoreError, reading, writing
from scripts.figures import sensitivity as figure
from scripts.persistence.vary import vary
from scripts.tables.attack_comparison import tabulate

SIDE = 4
GAMMAS = [0.6, 0.8]


@pytest.fixture
def half_space(tmp_path):
    """Images at known distances from the one boundary x_0 = 0.5, and attacks across it; the fourth attack failed."""
    network = fully_connected((1, SIDE, SIDE), (), 2)
    weights = {name: np.zeros_like(value.detach().numpy()) for name, value in network.named_parameters()}
    weights["fc1.weight"][:, 0] = [-1, 1]
    weights["fc1.bias"][:] = [0.5, -0.5]
    images = np.full((8, 1, SIDE, SIDE), 0.5, np.float32)
    images[:, 0, 0, 0] = 0.5 + 0.05 * np.arange(1, 9)
    data, model, attack = (str(tmp_path / f"{name}.h5") for name in ("data", "model", "attack"))
    generator = np.random.default_rng(0)
    with writing(data, Provenance()) as file:
        file.put("classes", ["left", "right"], "names", ("class",))
        for split in ("train", "test"):
            put_split(file, split, images, np.ones(8, int), generator)
    settings = {"architecture": "fully_connected", "hidden": [], "classes": 2, "input_shape": [1, SIDE, SIDE]}
    with writing(model, Provenance()) as file:
        put_network(file, settings, weights, 1.0, (0.6, 1.0), 8)
    x_adv = images[:4].copy()
    x_adv[:, 0, 0, 0] = [0.4, 0.3, 0.2, 0.6]
    with writing(attack, Provenance()) as file:
        file.put("x_adv", x_adv, "adversarial", IMAGE_DIMS)
        file.put("success", np.array([True, True, True, False]), "success", ("image",))
        file.put("index", np.array([0, 1, 2, 3]), "origin", ("image",))
    return {"data": data, "model": model, "attack": attack, "output": str(tmp_path / "sensitivity.h5")}


def varied(paths, **changes):
    settings = {"images": 5, "gamma": 0.7, "gammas": GAMMAS, "samples": 2000, "confidence": 0.95}
    settings |= {"batch_size": 256, "seed": 3, "provenance": Provenance()}
    vary(**paths, **settings | changes)
    return paths["output"]


def test_persistence_of_a_half_space_under_each_gamma_and_noise(half_space):
    with reading(varied(half_space)) as file:
        assert file.read("gamma").tolist() == [0.6, 0.7, 0.8]
        adversarial = file.read("gaussian/adversarial/sigma", ("image", "level"))
        low, high = (file.read(f"gaussian/adversarial/{name}") for name in ("low", "high"))
        exact = np.array([0.1, 0.2, 0.3])[:, None] / stats.norm.ppf([0.6, 0.7, 0.8])
        # Nine intervals at 95 %: more than three that miss has a chance below 1e-3 even if they are independent.
        assert ((low <= exact) & (exact <= high)).sum() >= 6
        # 2000 samples leave a standard error of about 6 % at gamma 0.7, and 13 % at 0.6.
        assert np.log(adversarial / exact) == pytest.approx(0, abs=0.4)
        mean = {name: file.read(f"mean/{name}/adversarial/mean") for name in ("0.6", "0.7", "0.8", "ball")}
        assert mean["0.7"] == pytest.approx(adversarial[:, 1].mean())
        change = file.read_group("change/0.8/adversarial")
        exact_change = np.log(adversarial[:, 2] / adversarial[:, 1])
        assert change["mean"] == pytest.approx(exact_change.mean())
        student = stats.ttest_1samp(exact_change, 0).confidence_interval()
        assert (change["mean_low"], change["mean_high"]) == pytest.approx((student.low, student.high))
        # A coordinate of a ball in 16 dimensions: (1 + B) / 2 has a beta law, with the same variance as the Gaussian's.
        radius = np.sqrt(SIDE**2 + 2)
        quantile = radius * (2 * stats.beta.ppf(0.7, (SIDE**2 + 1) / 2, (SIDE**2 + 1) / 2) - 1)
        ball = file.read("ball/adversarial/sigma")[:, 0]
        assert np.log(ball / ([0.1, 0.2, 0.3] / quantile)) == pytest.approx(0, abs=0.25)
        shift = file.read("change/ball/adversarial/mean")
        assert shift == pytest.approx(np.log(ball / adversarial[:, 1]).mean())
        assert file.read("mean/0.7/natural/n") == 5
        assert file.read("mean/0.7/adversarial/n") == 3


def test_every_target_is_as_likely_to_stand_for_its_origin():
    origin = np.repeat(np.arange(900), 9)
    success = np.tile(np.arange(9) % 3 > 0, 900)
    success[:9] = False
    rows = one_success_each(success, origin, 0)
    assert success[rows].all()
    assert origin[rows].tolist() == list(range(1, 900))
    counts = np.bincount(rows % 9, minlength=9)[[1, 2, 4, 5, 7, 8]]
    assert stats.chisquare(counts).pvalue > 1e-4


def test_the_usual_gamma_is_always_among_them(half_space):
    with reading(varied(half_space, gamma=0.9, samples=100)) as file:
        assert file.read("gamma").tolist() == [0.6, 0.8, 0.9]
        assert "change/0.9/natural/mean" not in file


def test_one_success_is_too_few(half_space, tmp_path):
    with reading(half_space["attack"]) as file:
        x_adv = file.read("x_adv")
    with writing(tmp_path / "one.h5", Provenance()) as file:
        file.put("x_adv", x_adv, "adversarial", IMAGE_DIMS)
        file.put("success", np.arange(4) == 0, "success", ("image",))
        file.put("index", np.arange(4), "origin", ("image",))
    with pytest.raises(StoreError, match="fewer than two images were attacked with success"):
        varied(half_space | {"attack": str(tmp_path / "one.h5")})


def attack_cell(path, success, epsilon=None):
    index = np.repeat(np.arange(5), 2)
    settings = {"steps": 3} if epsilon is None else {"epsilon": epsilon}
    with writing(path, Provenance({"settings": settings})) as file:
        columns = {"index": index, "success": success, "distortion": 0.01 * np.arange(10.0), "queries": 2.0 + index}
        for name, values in columns.items():
            file.put(name, values, name, ("image",))
    return str(path)


def test_attacks_side_by_side(tmp_path):
    some, none = np.arange(10) < 6, np.zeros(10, bool)
    results = [attack_cell(tmp_path / "a.h5", some), attack_cell(tmp_path / "b.h5", none)]
    times = [str(tmp_path / f"{name}.tsv") for name in "ab"]
    for seconds, path in zip((12.5, 4), times, strict=True):
        (tmp_path / path).write_text(f"s\th:m:s\n{seconds}\t0:00:12\n")
    settings = {"names": ["net"], "attacks": ["igsm", "fgsm"], "times": times}
    tabulate(results=results, output=str(tmp_path / "attacks.csv"), **settings)
    with open(tmp_path / "attacks.csv", newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["attack"], second["attack"], first["attacked"], first["images"]) == ("igsm", "fgsm", "10", "5")
    exact = stats.binomtest(6, 10).proportion_ci(method="exact")
    assert (float(first["success_low"]), float(first["success_high"])) == pytest.approx((exact.low, exact.high))
    # Both targets of an image succeed or fail together, or cost the same: five independent values.
    costs = 2.0 + np.arange(5)
    assert float(first["queries_se"]) == pytest.approx(stats.sem(costs))
    assert float(first["success_clustered_se"]) == pytest.approx(stats.sem([1, 1, 1, 0, 0]))
    assert float(first["distortion"]) == pytest.approx(0.025)
    assert second["distortion"] == ""
    assert [float(row["job_seconds"]) for row in (first, second)] == [12.5, 4]
    assert float(first["seconds_per_image"]) == 1.25


@pytest.fixture
def epsilon_cells(tmp_path):
    attacks, persistence = [], []
    for epsilon, scale in ((0.2, 3.0), (0.05, 1.0)):
        attacks.append(attack_cell(tmp_path / f"attack{epsilon}.h5", np.ones(10, bool), epsilon))
        persistence.append(str(tmp_path / f"persistence{epsilon}.h5"))
        with writing(persistence[-1], Provenance()) as file:
            for group, mean in (("natural", 1.0), ("adversarial", scale)):
                put_summary(
                    file,
                    f"{group}/summary",
                    {"mean": mean, "mean_low": 0.9, "mean_high": 3.1, "n": 10 * scale},
                    group,
                    "1",
                )
    return attacks, persistence


def test_the_figure_draws_what_the_files_hold(half_space, epsilon_cells, tmp_path, monkeypatch):
    kept = []
    save = figure.save
    monkeypatch.setattr(figure, "save", lambda picture, outputs: (save(picture, outputs), kept.append(picture)))
    attacks, persistence = epsilon_cells
    outputs = [str(tmp_path / "s.png")]
    figure.draw(
        sensitivity=varied(half_space), attacks=attacks, persistence=persistence, outputs=outputs, style="paper"
    )
    top, middle, bottom = kept[0].axes
    with reading(half_space["output"]) as file:
        means = [float(file.read(f"mean/{gamma}/natural/mean")) for gamma in (0.6, 0.7, 0.8)]
    assert top.containers[0].lines[0].get_ydata() == pytest.approx(means)
    assert "natural, n = 5" in [text.get_text() for text in top.get_legend().get_texts()]
    # In the order of epsilon, whatever the order of the files.
    line = bottom.containers[1].lines[0]
    assert (line.get_xdata().tolist(), line.get_ydata().tolist()) == ([0.05, 0.2], [1.0, 3.0])
    assert [text.get_text() for text in bottom.get_xticklabels()] == ["0.2\n30\n30", "0.05\n10\n10"]
    assert len(middle.collections) == 2
    assert plt.get_fignums() == []


def test_an_attack_without_epsilon_gets_a_sentence(half_space, epsilon_cells, tmp_path):
    plain = attack_cell(tmp_path / "plain.h5", np.ones(10, bool))
    settings = {"persistence": epsilon_cells[1][:1], "outputs": [str(tmp_path / "s.png")], "style": "paper"}
    with pytest.raises(StoreError, match=r"plain\.h5: expected an attack with an epsilon, found one with steps"):
        figure.draw(sensitivity=varied(half_space, samples=100), attacks=[plain], **settings)
