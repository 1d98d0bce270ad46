"""Claims of the Note are decided by shares, ranks and variances of stored arrays; its figures draw what files hold."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from scipy import stats

from neighborhoods.evidence.sensitivity import (
    STATISTICS,
    flat,
    governed,
    head_relates,
    kept,
    rank_above,
    ranks,
    separable,
    steepest,
)
from neighborhoods.evidence.statistics import STATISTICS as ALL
from neighborhoods.evidence.verdicts import NOT_REPRODUCED, REPRODUCED, UNDECIDED
from neighborhoods.networks.architectures import fully_connected, weights_of
from pipeline.figures import style
from pipeline.results.shared import put_network, put_split
from pipeline.store import Provenance, StoreError, reading, writing
from scripts.figures import factors as factors_figure
from scripts.figures import flatness as flatness_figure
from scripts.figures import growth as growth_figure
from scripts.sensitivity.decompose import decompose

LEVEL = {"confidence": 0.95}


def test_all_of_them_are_found_by_name():
    for function in STATISTICS:
        assert ALL[function.__name__] is function


@pytest.mark.parametrize(("right", "answer"), [(1000, REPRODUCED), (992, UNDECIDED), (900, NOT_REPRODUCED)])
def test_separability_is_a_share_of_training_images(right, answer):
    cell = {"clusters/classified/n": np.array(1000), "clusters/classified/value": np.array(right / 1000)}
    found = separable([cell], share=0.99, **LEVEL)
    limits = stats.binomtest(right, 1000).proportion_ci(0.95, method="exact")
    assert (found.low, found.high, found.verdict) == (pytest.approx(limits.low), pytest.approx(limits.high), answer)
    assert separable([{}], share=0.99, **LEVEL) is None


def steps(beaten=0, lost=0, n=100):
    along, random = np.full((2, n), 0.2), np.full((2, n), 0.1)
    random[0, :beaten] = 0.3
    stays = np.ones((2, n), bool)
    stays[1, :lost] = False
    cell = {"flatness/epsilon": np.array([0.1, 1.0]), "flatness/gradient/kept": stays}
    return cell | {"flatness/gradient/increase": along, "flatness/random/increase": random}


@pytest.mark.parametrize(("beaten", "answer"), [(0, REPRODUCED), (9, UNDECIDED), (40, NOT_REPRODUCED)])
def test_the_gradient_is_compared_with_the_worst_random_step_of_the_shortest_length(beaten, answer):
    found = steepest([steps(beaten)], share=0.9, **LEVEL)
    assert (found.measured, found.verdict) == (1 - beaten / 100, answer)


def test_conditions_are_shares_at_the_length_asked_for():
    assert kept([steps(lost=50)], along="gradient", epsilon=1.0, share=0.8, **LEVEL).verdict == NOT_REPRODUCED
    assert kept([steps(lost=50)], along="gradient", epsilon=0.1, share=0.8, **LEVEL).verdict == REPRODUCED
    assert kept([steps()], along="gradient", epsilon=0.3, share=0.8, **LEVEL) is None
    assert flat([steps()], along="gradient", epsilon=1.0, nats=0.25, share=0.8, **LEVEL).verdict == REPRODUCED
    assert flat([steps()], along="gradient", epsilon=1.0, nats=0.15, share=0.8, **LEVEL).verdict == NOT_REPRODUCED
    assert flat([steps()], along="gradient", epsilon=0.3, nats=0.25, share=0.8, **LEVEL) is None


def test_ranks_leave_out_what_is_missing_or_does_not_vary():
    x = np.arange(20.0)
    y = x + 3 * np.sin(x)
    assert ranks(x, y, 0.95).value == pytest.approx(stats.spearmanr(x, y).statistic)
    holes = np.where(x % 5 == 0, np.nan, y)
    assert ranks(x, holes, 0.95).n == 16
    assert ranks(x, 1 + 1e-8 * y, 0.95) is None
    assert ranks(x[:3], y[:3], 0.95) is None
    cell = {"natural/a": x, "natural/b": np.exp(x), "natural/c": np.cos(7 * x), "natural/d": np.ones(20)}
    assert rank_above([cell], first="a", second="b", least=0.9, **LEVEL).verdict == REPRODUCED
    assert rank_above([cell], first="a", second="c", least=0.9, **LEVEL).verdict == NOT_REPRODUCED
    assert rank_above([cell], first="a", second="d", least=0.9, **LEVEL) is None


@pytest.mark.parametrize(
    ("head", "features", "answer"), [(0.1, 1, REPRODUCED), (1, 0.1, NOT_REPRODUCED), (1, 1, UNDECIDED)]
)
def test_variance_is_shared_between_head_and_features(head, features, answer):
    generator = np.random.default_rng(0)
    logs = generator.normal(size=(2, 400)) * [[head], [features]]
    found = governed([{"natural/head_norm": np.exp(logs[0]), "natural/feature_gain": np.exp(logs[1])}], 0.5, **LEVEL)
    # Independent terms: the share is that of the variances, with an error of 1 / sqrt(n) or so.
    assert found.measured == pytest.approx(features**2 / (head**2 + features**2), abs=0.1)
    assert found.verdict == answer
    same = {"natural/head_norm": np.ones(9), "natural/feature_gain": np.ones(9)}
    assert governed([same], 0.5, **LEVEL) is None


def test_pairs_of_classes_are_compared_with_an_error_over_classes():
    generator = np.random.default_rng(1)
    places = generator.normal(size=(12, 3))
    apart = np.linalg.norm(places[:, None] - places, axis=2)
    related = {"head/pair_norm": np.exp(apart), "clusters/separation": apart}
    found = head_relates([related], least=0.2, **LEVEL)
    assert (found.measured, found.verdict, found.n) == (pytest.approx(1), REPRODUCED, 66)
    noise = generator.normal(size=(12, 12))
    free = head_relates([{"head/pair_norm": noise + noise.T, "clusters/separation": apart}], least=0.9, **LEVEL)
    assert free.verdict == NOT_REPRODUCED
    empty = apart.copy()
    empty[4:] = empty[:, 4:] = np.nan
    assert head_relates([{"head/pair_norm": apart, "clusters/separation": empty}], least=0.2, **LEVEL) is None
    assert head_relates([{}], least=0.2, **LEVEL) is None


@pytest.fixture(scope="module")
def cell(tmp_path_factory):
    """A linear network on points of three classes, an attack on four of them, and persistence of the first ten."""
    folder = tmp_path_factory.mktemp("cell")
    generator = np.random.default_rng(0)
    label = np.arange(60) % 3
    x = np.clip(0.5 + 0.3 * np.eye(3, 6)[label] + 0.05 * generator.normal(size=(60, 6)), 0, 1).astype(np.float32)
    x = x.reshape(60, 1, 2, 3)
    network = fully_connected((1, 2, 3), [], 3)
    with torch.no_grad():
        network.fc1.weight.copy_(4 * torch.eye(3, 6))
        network.fc1.bias.zero_()
    paths = {name: str(folder / f"{name}.h5") for name in ("data", "model", "attack", "natural")}
    with writing(paths["data"], Provenance()) as file:
        for split in ("train", "test"):
            put_split(file, split, x, label, np.random.default_rng(1))
        file.put("classes", ["a", "b", "c"], "names", ("class",))
    settings = {"input_shape": [1, 2, 3], "classes": 3, "architecture": "fully_connected", "hidden": []}
    with writing(paths["model"], Provenance()) as file:
        put_network(file, settings, weights_of(network), 1.0, (0.9, 1.0), 60)
    order = np.random.default_rng(1).permutation(60)
    with writing(paths["attack"], Provenance()) as file:
        dims = ("image", "channel", "row", "column")
        file.put("x", x[:4], "natural", dims)
        file.put("x_adv", np.roll(x[:4], 1, axis=3), "adversarial", dims)
        for name, column in {"success": np.ones(4, bool), "index": np.arange(4), "label": label[:4]}.items():
            file.put(name, column, name, ("image",))
    with writing(paths["natural"], Provenance()) as file:
        file.put("natural/index", order[:10], "index", ("image",))
        file.put("natural/sigma", 1 + np.arange(10.0), "sigma", ("image",))
    output = str(folder / "factors.h5")
    asked = {"images": 30, "directions": 3, "epsilons": [0.01, 0.5], "cluster_images": 50, "distance_classes": 2}
    asked |= {"distance_steps": 15, "confidence": 0.95, "batch_size": 16, "seed": 1}
    decompose(**paths, output=output, provenance=Provenance(), **asked)
    return output, paths, asked


def test_a_linear_cell_holds_its_closed_form(cell):
    with reading(cell[0]) as file:
        n = len(file.read("natural/index"))
        assert n == int(file.read("summary/distance/n")) <= 30
        # Weights 4 e_i: any two rows are 4 sqrt(2) apart, and the spectral norm is 4.
        np.testing.assert_allclose(file.read("natural/head_norm"), 4 * 2**0.5, rtol=1e-6)
        assert float(file.read("head/norm")) == pytest.approx(4, rel=1e-6)
        np.testing.assert_allclose(file.read("natural/first_order"), file.read("natural/distance"), rtol=1e-4)
        assert np.isfinite(file.read("natural/persistence")).sum() == min(n, 10)
        assert (file.read("natural/tightness") <= 1 + 1e-6).all()
        assert float(file.read("clusters/classified/value")) == 1
        assert file.read("growth/stage").tolist() == ["input", "fc1"]
        # Equal lengths in the image for all kinds; the gradient keeps all of its length in the head, times 4 at most.
        assert (file.read("growth/gradient/gain")[1] <= 4 + 1e-5).all()


def test_perturbations_that_a_layer_takes_away_are_left_out_of_means(cell, tmp_path):
    """One of four perturbations lies where the network has no weights."""
    _, paths, asked = cell
    hidden = str(tmp_path / "attack.h5")
    with reading(paths["attack"]) as old, writing(hidden, Provenance()) as file:
        for name in ("x", "x_adv", "success", "index", "label"):
            values = old.read(name)
            if name == "x_adv":
                # Columns of the second row have no weights.
                values[0] = old.read("x")[0]
                values[0, 0, 1] += 0.2
            file.put(name, values, name, tuple(f"a{i}" for i in range(values.ndim)))
    output = str(tmp_path / "o.h5")
    decompose(**{**paths, "attack": hidden}, output=output, provenance=Provenance(), **asked)
    with reading(output) as file:
        assert file.read("growth/adversarial/log/n").tolist() == [4, 3]
        relative = file.read("growth/adversarial/relative")[1]
        mean = float(file.read("growth/adversarial/log/mean")[1])
        assert (relative == 0).sum() == 1
        assert mean == pytest.approx(np.log(relative[relative > 0]).mean())


def test_an_attack_without_success_gets_a_sentence(cell, tmp_path):
    _, paths, asked = cell
    attack = str(tmp_path / "attack.h5")
    with reading(paths["attack"]) as old, writing(attack, Provenance()) as file:
        for name in ("x", "x_adv", "index", "label"):
            file.put(name, old.read(name), name, tuple(f"a{i}" for i in range(old.read(name).ndim)))
        file.put("success", np.zeros(4, bool), "success", ("image",))
    with pytest.raises(StoreError, match="no attack succeeded, so there is no perturbation"):
        decompose(**{**paths, "attack": attack}, output=str(tmp_path / "o.h5"), provenance=Provenance(), **asked)


def test_figures_fit_a_column_and_hold_readable_text(cell, tmp_path, monkeypatch):
    kept_figures = []
    save = style.save

    def keep(picture, outputs):
        save(picture, outputs)
        kept_figures.append(picture)

    for module in (factors_figure, flatness_figure, growth_figure):
        monkeypatch.setattr(module, "save", keep)
    output = {"outputs": [str(tmp_path / "a.png")], "style": "paper"}
    factors_figure.draw(factors=[cell[0], cell[0]], names=["A", "B"], **output)
    flatness_figure.draw(factors=cell[0], **output)
    growth_figure.draw(factors=cell[0], **output)
    with reading(cell[0]) as file:
        mean = float(np.exp(file.read("summary/distance/mean")))
        share = file.read("flatness/gradient/share")
    drawn = kept_figures[0].axes[0].lines[0].get_ydata()
    assert drawn == pytest.approx([mean, mean])
    np.testing.assert_allclose(kept_figures[1].axes[1].lines[0].get_ydata(), share)
    for picture in kept_figures:
        assert picture.get_size_inches()[0] <= 3.5
        texts = [text for text in picture.findobj(plt.Text) if text.get_text().strip() and text.get_visible()]
        assert min(text.get_fontsize() for text in texts) >= 7
    with pytest.raises(StoreError, match="a name for each of 1 files"):
        factors_figure.draw(factors=[cell[0]], names=[], **output)
