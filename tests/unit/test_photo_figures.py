"""Figures and tables of photos: a thousand classes, long names, small perturbations, several attacks on one network."""

import csv
import itertools

import matplotlib.pyplot as plt
import numpy as np
import pytest
import yaml
from scipy import stats

from neighborhoods.statistics.intervals import ratio
from pipeline.figures import style
from pipeline.figures.frequencies import MOST_GREY, _Name
from pipeline.figures.panels import LONGEST_NAME, resampling, shortened
from pipeline.results.shared import read_job_seconds
from pipeline.store import Provenance, StoreError, writing
from scripts.figures import (
    adversarial_examples,
    class_frequencies,
    class_frequencies_of_cells,
    persistence_along_line,
)
from scripts.tables.persistence_by_attack import tabulate

CLASSES = 1000
LABEL, TARGET, BACKGROUND = 11, 14, 500
SIDE = 64


@pytest.fixture
def drawn(monkeypatch):
    kept = []
    save = style.save

    def keep(picture, outputs):
        save(picture, outputs)
        kept.append(picture)

    for module in (adversarial_examples, class_frequencies, class_frequencies_of_cells):
        monkeypatch.setattr(module, "save", keep)
    return kept


@pytest.fixture
def stability_file(tmp_path):
    """A photo whose class gives way to ten classes at one noise, and to nine hundred others in the end."""
    path = tmp_path / "stability.h5"
    sigma = np.linspace(0.02, 2, 100)
    own = np.exp(-3 * sigma)
    frequency = np.zeros((100, CLASSES))
    crowd = 0.8 * (1 - own) * np.exp(-((sigma - 1) ** 2))
    for number in range(10):
        frequency[:, BACKGROUND + number] = crowd * (0.25 - 0.02 * number)
    frequency[:, 600:] = (1 - own - frequency.sum(1))[:, None] / (CLASSES - 600)
    names = [f"a rather long class name {number}" for number in range(CLASSES)]
    with writing(path, Provenance()) as file:
        file.put("sigma", sigma, "sigma", ("sigma",))
        file.put("classes", names, "names", ("class",))
        file.put("samples", 100, "samples", ())
        file.put("example_sigma", sigma[[0, 50, 99]], "sigma", ("example",))
        for group, first in (("natural", LABEL), ("adversarial", TARGET)):
            values = frequency.copy()
            values[:, first] = own
            for part, offset in (("frequency", 0), ("low", -0.01), ("high", 0.01)):
                file.put(f"{group}/{part}", values[None] + offset, part, ("image", "sigma", "class"))
            for name, value in (("index", 7), ("label", LABEL), ("target", TARGET)):
                file.put(f"{group}/{name}", [value], name, ("image",))
            noisy = np.random.default_rng(0).normal(0.5, 2, (1, 3, 3, SIDE, SIDE))
            file.put(f"{group}/examples", noisy, "images", ("i", "e", "c", "y", "x"))
    return str(path)


def curves_of(picture):
    return [axes for axes in picture.axes if axes.lines]


def test_of_many_classes_those_near_the_front_are_drawn_and_the_rest_summed(stability_file, drawn, tmp_path):
    class_frequencies.draw(stability=stability_file, outputs=[str(tmp_path / "a.png")], style="paper", target=TARGET)
    natural, adversarial = curves_of(drawn[0])
    # The two that stand out, five grey ones and the sum.
    assert len(adversarial.lines) == 2 + MOST_GREY + 1
    texts = [name.get_text() for name in adversarial.findobj(_Name)]
    assert texts.count(f"sum of {CLASSES - 2 - MOST_GREY} others") == 1
    shares = np.array([line.get_ydata() for line in adversarial.lines])
    assert shares.sum(0) == pytest.approx(np.ones(100)), "shares of all classes add up to one"
    assert all(len(text) <= LONGEST_NAME for text in texts if "others" not in text)
    assert natural.get_title().startswith("natural\n(a rather long")


@pytest.mark.parametrize("style", ["paper", "talk"])
def test_names_of_curves_do_not_cover_each_other_and_stay_inside(style, stability_file, drawn, tmp_path):
    class_frequencies.draw(stability=stability_file, outputs=[str(tmp_path / "a.png")], style=style, target=-1)
    # Saving leaves extents at another resolution.
    drawn[0].draw_without_rendering()
    for axes in curves_of(drawn[0]):
        boxes = [name.get_window_extent() for name in axes.findobj(_Name)]
        assert len(boxes) >= 3
        assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
        panel = axes.get_window_extent()
        assert all(panel.x0 - 2 <= box.x0 and box.x1 <= panel.x1 + 2 for box in boxes)
    titles = [axes.title.get_window_extent() for axes in curves_of(drawn[0])]
    assert not titles[0].overlaps(titles[1])


def test_noisy_photos_are_clipped_and_labelled_with_small_sigmas(stability_file, drawn, tmp_path):
    class_frequencies.draw(stability=stability_file, outputs=[str(tmp_path / "a.png")], style="paper", target=-1)
    strip = next(axes for axes in drawn[0].axes if axes.images)
    shown = np.asarray(strip.images[0].get_array())
    assert shown.min() == 0
    assert shown.max() == 1
    assert [label.get_text() for label in strip.get_xticklabels()] == ["0.02", "1.02", "2"]


def test_cells_stand_side_by_side(stability_file, drawn, tmp_path):
    panels = [
        {"name": "any", "group": "natural", "class": LABEL},
        {"name": "net, PGD", "group": "adversarial", "class": TARGET},
        {"name": "other, PGD", "group": "adversarial", "class": -1},
    ]
    settings = {"stability": [stability_file] * 3, "outputs": [str(tmp_path / "a.png")], "style": "paper"}
    class_frequencies_of_cells.draw(panels=panels, **settings)
    (picture,) = drawn
    titles = [axes.get_title().split("\n") for axes in curves_of(picture)]
    assert [title[0] for title in titles] == ["any", "net, PGD", "other, PGD"]
    assert [len(title) for title in titles] == [2, 3, 3], "a natural image has no class aimed at"
    assert picture.get_size_inches()[0] <= 7
    for group, what in (("natural", "natural image of class 3"), ("adversarial", "adversarial image with target 3")):
        with pytest.raises(StoreError, match=rf"stability\.h5: holds no .*{what}"):
            class_frequencies_of_cells.draw(panels=[{"name": "", "group": group, "class": 3}] * 3, **settings)


@pytest.fixture
def attack_file(tmp_path):
    """Four photos; the first two are pushed to class 1, the others to class 2."""

    def store(side=SIDE, ratios=True):
        path = tmp_path / f"attack{side}.h5"
        x = np.full((4, 3, side, side), 0.5, np.float32)
        x_adv = x.copy()
        x_adv[:, 0] += 0.02
        x_adv[:, 1] -= 0.09
        with writing(path, Provenance()) as file:
            for name, values in (("x", x), ("x_adv", x_adv)):
                file.put(name, values, name, ("image", "channel", "row", "column"))
            file.put("classes", ["American coot", "ostrich", "great white shark and others"], "names", ("class",))
            columns = {"label": [0] * 4, "predicted": [1, 1, 2, 2], "target": [1, 1, 2, 2], "success": np.ones(4, bool)}
            columns["distortion"] = [0.0107, 0.02, 0.03, 0.04]
            if ratios:
                columns["variance_ratio"] = [9.99e-5, 0.1, 0.2, 0.3]
            for name, values in columns.items():
                file.put(name, values, name, ("image",))
        return str(path)

    return store


def sums(picture):
    return [axes for axes in picture.axes if axes.get_title()]


def test_amplified_perturbations_are_shown_around_mid_grey(attack_file, drawn, tmp_path):
    settings = {"outputs": [str(tmp_path / "a.png")], "style": "paper", "examples": 6}
    adversarial_examples.draw(attack=attack_file(), amplify=10, target=1, **settings)
    (picture,) = drawn
    assert [axes.get_title() for axes in sums(picture)] == ["American coot → ostrich"] * 2, "only those of the target"
    middle = np.asarray(sums(picture)[0].images[1].get_array())[0, 0]
    # 0.5 + 10 * 0.02; 0.5 - 10 * 0.09, cut at black; no change is mid grey.
    assert middle == pytest.approx([0.7, 0.0, 0.5], abs=1e-5)
    bar = next(axes for axes in picture.axes if axes.get_xlabel())
    assert "shown × 10 around mid grey" in bar.get_xlabel()
    assert bar.get_xlim() == pytest.approx((-0.05, 0.05))
    notes = [axes.texts[-1].get_text() for axes in sums(picture)]
    assert notes[0] == "distortion 0.0107\nvariance ratio 9.99e-05"
    sizes = [text.get_fontsize() for text in picture.findobj(plt.Text) if text.get_text().strip()]
    assert min(sizes) >= 7


def test_without_a_variance_ratio_the_figure_says_nothing_of_it(attack_file, drawn, tmp_path):
    settings = {"outputs": [str(tmp_path / "a.png")], "style": "paper", "examples": 3}
    adversarial_examples.draw(attack=attack_file(ratios=False), **settings)
    assert all("variance" not in text.get_text() for axes in sums(drawn[0]) for text in axes.texts)
    assert "mid grey" not in "".join(axes.get_xlabel() for axes in drawn[0].axes)
    with pytest.raises(StoreError, match="no attack succeeded with target 5"):
        adversarial_examples.draw(attack=attack_file(ratios=False), target=5, **settings)


def test_photos_take_a_column_each_and_digits_share_one(attack_file, drawn, tmp_path):
    for side in (28, SIDE):
        adversarial_examples.draw(attack=attack_file(side), outputs=[str(tmp_path / "a.png")], style="paper")
    assert [picture.get_size_inches()[0] for picture in drawn] == [3.5, 7.0]
    assert (resampling(28), resampling(224)) == ("nearest", "antialiased")


def test_short_names_stay_whole():
    assert shortened("American coot") == "American coot"
    cut = shortened("great white shark and others")
    assert len(cut) <= LONGEST_NAME
    assert cut.endswith("…")


PUBLISHED = {"imagenet_values": 48, "table2": {"net": {"BIM": {"distortion": 0.1, "natural": 0.3, "adversarial": 0.1}}}}


@pytest.fixture
def cells(tmp_path):
    """Two attacks on five images, two targets each; natural images are measured anew for each, the fourth failed."""

    def store(number, scale):
        generator = np.random.default_rng(number)
        index = np.arange(5).repeat(2)
        success = index != 3
        attack, persistence = (str(tmp_path / f"{name}{number}.h5") for name in ("attack", "persistence"))
        with writing(attack, Provenance()) as file:
            file.put("x", np.zeros((10, 3, 2, 2), np.float32), "x", ("image", "channel", "row", "column"))
            for name, values in {"success": success, "index": index, "distortion": 0.01 * np.arange(10.0)}.items():
                file.put(name, values, name, ("image",))
        groups = {
            "natural": (1 + generator.random(6), np.arange(6)),
            "adversarial": (scale * (1 + generator.random(8)), index[success]),
        }
        with writing(persistence, Provenance()) as file:
            file.put("confidence", 0.95, "level", ())
            for group, (sigma, origin) in groups.items():
                status = np.array(["censored_high", *["ok"] * (len(sigma) - 1)])
                for name, values in {"sigma": sigma, "index": origin, "status": status}.items():
                    file.put(f"{group}/{name}", values, name, ("image",))
        return attack, persistence, groups

    return [store(0, 0.3), store(1, 0.5)]


def table(tmp_path, cells, **settings):
    published = tmp_path / "published.yaml"
    published.write_text(yaml.safe_dump(PUBLISHED))
    attacks, persistence, _ = zip(*cells, strict=True)
    output = tmp_path / "table.csv"
    common = {"published": str(published), "published_table": "table2"}
    tabulate(attacks=attacks, persistence=persistence, output=str(output), **common, **settings)
    with open(output, newline="") as file:
        return list(csv.DictReader(file))


def test_each_attack_and_all_together_have_a_row(tmp_path, cells):
    first, second, total = table(tmp_path, cells, names=["net"], attack_names=["BIM", "PGD"])
    assert [row["attack"] for row in (first, second, total)] == ["BIM", "PGD", "total"]
    assert (first["attacked"], first["successes"], first["images"], total["attacked"]) == ("10", "8", "5", "20")
    exact = stats.binomtest(16, 20).proportion_ci(method="exact")
    assert (float(total["success_low"]), float(total["success_high"])) == pytest.approx((exact.low, exact.high))
    natural = cells[0][2]["natural"][0]
    assert (total["natural_n"], total["adversarial_n"], total["adversarial_clusters"]) == ("6", "16", "4")
    assert float(total["natural"]) == pytest.approx(natural.mean()), "each natural image once"
    assert float(total["natural_se"]) == pytest.approx(stats.sem(natural))
    adversarial, origins = (np.concatenate([cell[2]["adversarial"][part] for cell in cells]) for part in (0, 1))
    expected = ratio(natural, adversarial, np.arange(6), origins)
    found = [float(total[f"natural_over_adversarial{ending}"]) for ending in ("", "_low", "_high")]
    assert found == pytest.approx([expected.value, expected.low, expected.high])
    assert (first["natural_censored_high"], total["adversarial_censored_high"]) == ("1", "2")


def test_published_values_stand_beside_with_their_convention(tmp_path, cells):
    first, second, total = table(tmp_path, cells, names=["net"], attack_names=["BIM", "PGD"])
    assert float(first["published_ratio"]) == pytest.approx(3)
    # Four times as many values were counted as the images have: the norm is the same, its root mean square twice.
    assert float(first["published_distortion_of_12_values"]) == pytest.approx(0.2)
    assert first["published_unit"] == "unknown"
    assert first["published_sign"] == "supported"
    for row in (second, total):
        assert row["published_ratio"] == row["published_unit"] == row["published_sign"] == ""


def test_networks_take_their_own_files_and_one_attack_has_no_total(tmp_path, cells):
    rows = table(tmp_path, cells, names=["net", "other"], attack_names=["BIM"])
    assert [(row["network"], row["attack"]) for row in rows] == [("net", "BIM"), ("other", "BIM")]
    assert float(rows[1]["natural"]) == pytest.approx(cells[1][2]["natural"][0].mean())


def test_job_times_come_from_benchmark_files(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("s\th:m:s\tmax_rss\n12.5\t0:00:12\t300.1\n")
    assert read_job_seconds(path) == 12.5
    for text in ("", "x\n1\n", "s\nfast\n"):
        path.write_text(text)
        with pytest.raises(StoreError, match=r"a\.tsv: expected a benchmark file"):
            read_job_seconds(path)


@pytest.fixture
def line(tmp_path, drawn, monkeypatch):
    """The figure of a line of eleven points, the first of which have no change of class within the search."""

    def draw(beyond):
        path = tmp_path / "interpolation.h5"
        put_line(path, beyond)
        save = style.save
        monkeypatch.setattr(
            persistence_along_line, "save", lambda picture, outputs: (save(picture, outputs), drawn.append(picture))
        )
        persistence_along_line.draw(
            interpolation=str(path),
            outputs=[str(tmp_path / f"a.{kind}") for kind in ("png", "csv")],
            style="paper",
            pair=0,
        )
        return drawn[0]

    return draw


def put_line(path, beyond):
    label = [0, 0, 0, 0, 1, 2, 2, 3, 3, 3, 3]
    with writing(path, Provenance()) as file:
        file.put("t", np.linspace(0, 1, 11), "t", ("point",))
        file.put("gamma", [0.7], "gamma", ("gamma",))
        file.put("label", [label], "label", ("pair", "point"))
        file.put("classes", ["goldfinch", "American goldfinch", "brambling finch", "indigo bunting"], "c", ("class",))
        file.put("samples", 100, "samples", ())
        for name, value, end in (("sigma", 0.02, 100), ("low", 0.01, 100), ("high", 0.03, np.inf)):
            values = np.full(11, value)
            values[:beyond] = end
            file.put(name, values[None, :, None], name, ("pair", "point", "gamma"))
        status = np.array(["censored_high"] * beyond + ["ok"] * (11 - beyond))
        file.put("status", status[None, :, None], "status", ("pair", "point", "gamma"))


@pytest.mark.parametrize("beyond", [0, 3, 11])
def test_points_beyond_the_search_do_not_take_the_axis_over(line, beyond, tmp_path):
    axes = line(beyond).axes[0]
    top = axes.get_ylim()[1]
    assert top > 100 if beyond == 11 else 0.02 < top < 0.1
    open_ones = [one for one in axes.lines if one.get_marker() == "^" and len(one.get_xdata())]
    assert len(open_ones) == (3 if beyond == 3 else 0)
    # They stand inside the axes at a place that is no number: no row of the CSV has it.
    assert all(one.get_transform() == axes.get_xaxis_transform() and one.get_ydata()[0] < 1 for one in open_ones)
    with open(tmp_path / "a.csv", newline="") as file:
        points = [row for row in csv.DictReader(file) if row["kind"] == "error bar"]
        file.seek(0)
        values = {row["y"] for row in csv.DictReader(file) if row["kind"] in ("points", "error bar", "line")}
    assert len(points) == (11 - beyond if beyond < 11 else 11)
    assert values <= {"0.02", "100.0", ""}
    said = [text.get_text() for text in axes.get_legend().get_texts()]
    assert ("above 100" in said) == (beyond == 3)


def test_names_of_classes_along_a_line_do_not_cover_each_other(line):
    picture = line(0)
    picture.draw_without_rendering()
    texts = [text for text in picture.axes[0].texts if text.get_text()]
    assert len(texts) == 4
    boxes = [text.get_window_extent() for text in texts]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
