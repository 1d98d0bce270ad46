"""The scripts of the path kernel on tiny data, and the figures that show what they wrote."""

import hashlib
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from torch import nn

from neighborhoods.images import to_samples
from neighborhoods.networks.architectures import build
from neighborhoods.path_kernel.kernel_machine import path_kernel
from neighborhoods.path_kernel.path import recorded
from neighborhoods.path_kernel.trace_kernel import gram
from pipeline.figures import style
from pipeline.results.shared import put_split, read_path, read_split
from pipeline.store import Provenance, StoreError, reading, writing
from scripts.figures import (
    kernel_agreement,
    kernel_convergence,
    kernel_detection,
    kernel_map,
    kernel_neighbours,
    kernel_relations,
    kernel_signs,
    kernel_values,
)
from scripts.path_kernel.integrate import integrate
from scripts.path_kernel.map import draw_map
from scripts.path_kernel.record import record
from scripts.path_kernel.study import study
from scripts.path_kernel.vary import vary

FIGURES = {
    "kernel_agreement": (kernel_agreement, "kernel"),
    "kernel_values": (kernel_values, "study"),
    "kernel_detection": (kernel_detection, "study"),
    "kernel_relations": (kernel_relations, "study"),
    "kernel_map": (kernel_map, "map"),
    "kernel_convergence": (kernel_convergence, "variants"),
    "kernel_signs": (kernel_signs, "variants"),
}
COMMON = {"seed": 3, "provenance": Provenance()}
STUDY = {
    "natural": 12, "foreign": 6, "gaussian_process_points": 20, "nodes": 1, "neighbours": 4,
    "epsilon": 0.3, "step_size": 0.1, "attack_steps": 5,
}  # fmt: skip


def stored(folder: Path, points: bool) -> str:
    """Two Gaussian classes, or images whose left or right half is bright."""
    path = folder / "data.h5"
    generator = np.random.default_rng(0)
    with writing(path, Provenance()) as file:
        for split in ("train", "test"):
            labels = np.arange(40) % 2
            if points:
                x = generator.normal(np.array([[1.0, 4.0], [4.0, 1.0]])[labels])
            else:
                x = generator.integers(0, 120, (40, 1, 6, 6), dtype=np.uint8)
                x[labels == 0, :, :, :3] += 90
                x[labels == 1, :, :, 3:] += 90
            put_split(file, split, x, labels, generator)
        file.put("classes", ["a", "b"], "names", ("class",))
    return str(path)


def measured(folder: Path, points: bool) -> dict[str, str]:
    """Every result of a network trained on them."""
    data = stored(folder, points)
    found = {"data": data} | {
        name: str(folder / f"{name}.h5") for name in ("path", "kernel", "study", "map", "variants")
    }
    network = {"architecture": "fully_connected", "hidden": [6]}
    training = {"learning_rate": 0.2, "steps": 8, "loss": "cross_entropy", "train_samples": 30}
    record(data=data, output=found["path"], network=network, **training, **COMMON)
    places = {"data": data, "path": found["path"]}
    integrate(**places, output=found["kernel"], queries=8, tolerance=1e-7, nodes=2, **COMMON)
    study(**places, output=found["study"], **STUDY, **COMMON)
    if points:
        draw_map(**places, output=found["map"], grid=5, points=20, distances=[0.0, 1.0], nodes=1, **COMMON)
    vary(**places, output=found["variants"], train_samples=20, steps=8, queries=5, nodes=[1, 4], tolerances=[1e-3, 1e-6],
         factors=[2, 1, 0.5], **COMMON)  # fmt: skip
    return found


@pytest.fixture(scope="module")
def planar(tmp_path_factory):
    return measured(tmp_path_factory.mktemp("planar"), True)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return measured(tmp_path_factory.mktemp("images"), False)


@pytest.fixture
def drawn(monkeypatch):
    kept = []
    save = style.save

    def keep(picture, outputs):
        save(picture, outputs)
        kept.append(picture)

    for module in (*[module for module, _ in FIGURES.values()], kernel_neighbours):
        monkeypatch.setattr(module, "save", keep)
    return kept


def texts(picture) -> str:
    return "\n".join(text.get_text() for text in picture.findobj(plt.Text))


def trained(files):
    """Model with the trained weights, and its path."""
    run = read_path(files["path"])
    split = read_split(files["data"], "train")
    x, y = to_samples(split.images[run.rows]), torch.tensor(split.labels[run.rows])
    path = recorded(x, y, torch.tensor(run.weights), run.learning_rate, run.loss)
    model = build(**run.settings).double()
    nn.utils.vector_to_parameters(path.weights[-1], model.parameters())
    return model, path


@pytest.mark.parametrize("kind", ["planar", "images"])
def test_scores_are_sums_over_the_engines_kernel(kind, request):
    files = request.getfixturevalue(kind)
    model, path = trained(files)
    with reading(files["study"]) as file:
        groups, values, shown = file.read("group"), file.read("score/sum"), file.read("shown/values")
        x, names = file.read("shown/x"), [str(name) for name in file.read("groups")]
    exact = path_kernel(model, path, torch.tensor(x), rule="midpoint", nodes=1, kernel=True).kernel
    assert shown == pytest.approx(exact.diagonal(dim1=2, dim2=3).mean(2).numpy(), rel=1e-8)
    first = np.concatenate([np.flatnonzero(groups == name)[:2] for name in (names[0], names[-1])])
    assert values[first] == pytest.approx(shown.sum(1), rel=1e-12)
    assert names[0] == "natural"
    assert names[1:] == (["far"] if kind == "planar" else ["adversarial", "inverted", "permuted", "noise"])


@pytest.mark.parametrize("kind", ["planar", "images"])
def test_every_score_has_areas_with_intervals_and_clusters(kind, request):
    with reading(request.getfixturevalue(kind)["study"]) as file:
        groups, origin = file.read("group"), file.read("origin")
        for name in ("sum", "cosine", "variance", "relative_variance"):
            values = file.read(f"score/{name}")
            natural = values[groups == "natural"]
            for other in set(groups) - {"natural"}:
                area = file.read_group(f"auroc/{name}/{other}")
                part = values[groups == other]
                pairs = (part < natural[:, None]) + (part == natural[:, None]) / 2
                assert area["value"] == pytest.approx(pairs.mean())
                assert area["low"] <= area["value"] <= area["high"]
                assert area["clusters"] == len(set(origin[(groups == "natural") | (groups == other)]))
                rates = [file.read(f"roc/{name}/{other}/{key}") for key in ("false", "true")]
                assert np.trapezoid(rates[1], rates[0]) == pytest.approx(pairs.mean())
        assert np.all(file.read("score/relative_variance") <= 0)
        assert np.all(file.read("score/relative_variance") >= -1)
        assert 0 < file.read("asymmetry") < 0.2


def test_adversarial_points_are_the_attacks_successes(images):
    with reading(images["study"]) as file:
        groups, origin = file.read("group"), file.read("origin")
        assert 0 < (groups == "adversarial").sum() <= 12
        assert set(origin[groups == "adversarial"]) <= set(origin[groups == "natural"])
        assert min(origin[groups == "noise"]) < 0


def test_neighbours_by_pixels_are_the_nearest(images):
    train, test = read_split(images["data"], "train"), read_split(images["data"], "test")
    rows = read_path(images["path"]).rows
    with reading(images["study"]) as file:
        found, share = file.read("neighbours/pixel"), file.read("neighbours/kernel_common")
        kernel, mean = file.read("neighbours/kernel"), file.read("neighbours/kernel_overlap/mean")
    x = test.images[test.order[:12]].reshape(12, -1) / 255
    distances = np.linalg.norm(x[:, None] - train.images[rows].reshape(len(rows), -1) / 255, axis=2)
    assert np.array_equal(found, rows[np.argsort(distances, axis=1)[:, :4]])
    expected = [len(set(a) & set(b)) / 4 for a, b in zip(kernel, found, strict=True)]
    assert share == pytest.approx(expected)
    assert mean == pytest.approx(np.mean(expected))


def test_hull_distances_are_those_to_the_predicted_class(planar):
    with reading(planar["study"]) as file:
        distance, lower = file.read("hull/distance"), file.read("hull/lower")
        groups, rank = file.read("group"), file.read_group("hull/all/cosine")
    assert np.all(distance - lower <= 1e-2 + 1e-12)
    # At least four sigmas from every mean.
    assert distance[groups == "far"].min() > 0
    assert rank["low"] <= rank["value"] <= rank["high"]
    assert rank["n"] == len(groups)


def test_the_map_holds_the_kernel_of_each_place(planar):
    with reading(planar["map"]) as file:
        x, y, kernel, centre = (file.read(name) for name in ("x", "y", "kernel", "centre"))
        same, apart = file.read_group("shifted/0"), file.read_group("shifted/1")
        shift, start = file.read("shift"), file.read("start")
    model, path = trained(planar)
    place = torch.tensor(np.array([[x[3], y[1]], centre[0]]))
    assert kernel[0, 1, 3] == pytest.approx(float(gram(model, path, place)[0, 1]), rel=1e-10)
    points = torch.tensor(np.concatenate([start[:2], start[:2] + shift]))
    matrix = gram(model, path, points)
    assert same["values"][:2] == pytest.approx(matrix.diagonal()[:2].numpy(), rel=1e-10)
    assert apart["values"][:2] == pytest.approx(matrix[:2, 2:].diagonal().numpy(), rel=1e-10)
    assert apart["variation/value"] == pytest.approx(apart["values"].std(ddof=1) / apart["values"].mean())


def test_images_have_no_map(images, tmp_path):
    places = {"data": images["data"], "path": images["path"], "output": str(tmp_path / "map.h5")}
    with pytest.raises(StoreError, match="a map needs points of two coordinates"):
        draw_map(**places, grid=5, points=20, distances=[1.0], nodes=1, **COMMON)


def test_variants_hold_what_was_asked_for(planar):
    with reading(planar["variants"]) as file:
        rules, tolerance, residual = file.read("rule"), file.read("tolerance"), file.read("residual")
        order, summary = file.read("order"), file.read_group("order_summary")
        cases = list(file.read("signs/cases"))
        still, moving = (file.read(f"equation_14/{part}", ("query",)) for part in ("printed", "corrected"))
        diagonal, whole = (float(file.read(f"equation_102/{part}")) for part in ("printed", "corrected"))
        assert whole == float(file.read("signs/cross_entropy-log_softmax/gap"))
    # Errors of what is printed lie far above those of the integrals.
    assert moving.max() < 1e-6 < 1e-3 < still.max()
    assert whole < 1e-6 < 1e-3 < diagonal
    adaptive = rules == "adaptive"
    assert np.all(residual[adaptive] <= tolerance[adaptive, None])
    assert rules.tolist() == [*["left"] * 2, *["midpoint"] * 2, *["gauss"] * 2, *["adaptive"] * 2]
    assert summary["mean"] == pytest.approx(order.mean())
    assert len(cases) == 5


@pytest.mark.parametrize("name", FIGURES)
def test_figures_draw_both_kinds_of_data(name, planar, images, drawn, tmp_path):
    module, part = FIGURES[name]
    for files in (planar, images):
        if name == "kernel_map" and files is images:
            continue
        module.draw(kernel=files[part], outputs=[str(tmp_path / "a.png"), str(tmp_path / "a.pdf")], style="paper")
    for picture in drawn:
        shown = [item for item in picture.findobj(plt.Text) if item.get_text().strip() and item.get_visible()]
        assert min(item.get_fontsize() for item in shown) >= 7
        assert picture.get_size_inches()[0] <= 3.5
        assert "n = " in texts(picture)


def test_figure_20_states_the_residual_and_the_boundary(planar, drawn, tmp_path):
    kernel_agreement.draw(kernel=planar["kernel"], outputs=[str(tmp_path / "a.png")], style="paper")
    with reading(planar["kernel"]) as file:
        gap = np.abs(file.read("prediction") - file.read("network")).max()
        lines, predicted = (file.read("map/x"), file.read("map/y")), file.read("map/class")
    assert f"largest |difference| {gap:.1e} logit" in texts(drawn[0])
    assert "decision boundary" in texts(drawn[0])
    model, _ = trained(planar)
    place = torch.tensor([[lines[0][17], lines[1][150]]])
    assert predicted[150, 17] == int(model(place).argmax())


def test_figure_22_shows_the_stored_images(images, planar, drawn, tmp_path):
    kernel_neighbours.draw(kernel=images["study"], outputs=[str(tmp_path / "a.png")], style="paper")
    with reading(images["study"]) as file:
        first = file.read("neighbours/x_pixel")[0, 0] / 255
    panels = [axes for axes in drawn[0].axes if axes.images]
    assert len(panels) == 20
    assert np.asarray(panels[3].images[0].get_array()) == pytest.approx(first)
    with pytest.raises(StoreError, match="expected neighbours that are images, found points"):
        kernel_neighbours.draw(kernel=planar["study"], outputs=[str(tmp_path / "b.png")], style="paper")


def test_equal_runs_give_equal_bytes(images, tmp_path):
    output = str(tmp_path / "study.h5")
    study(data=images["data"], path=images["path"], output=output, **STUDY, **COMMON)
    first, second = (hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in (output, images["study"]))
    assert first == second
