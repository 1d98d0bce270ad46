"""Figures draw what a file holds, in the project's colours, large enough to read, and the same twice."""

import os

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb

from pipeline.figures import style as figure
from pipeline.store import Provenance, StoreError, reading, writing
from scripts.figures import class_frequencies, persistence_histogram
from tests.figure_checks import problems


@pytest.fixture
def drawn(monkeypatch):
    """Figures that scripts save, kept open enough to look at."""
    kept = []
    save = figure.save

    def keep(picture, outputs):
        save(picture, outputs)
        # Cycle colours mean the style's only while it is in force.
        picture.line_colours = [[to_hex(line.get_color()) for line in axes.lines] for axes in picture.axes]
        kept.append(picture)

    for module in (class_frequencies, persistence_histogram):
        monkeypatch.setattr(module, "save", keep)
    return kept


@pytest.fixture
def persistence_file(tmp_path):
    path = tmp_path / "persistence.h5"
    generator = np.random.default_rng(0)
    with writing(path, Provenance()) as file:
        for name, n, clusters, median in (("natural", 50, 50, 0.5), ("adversarial", 90, 10, 0.25)):
            file.put(f"{name}/sigma", generator.gamma(4, median / 4, n), "sigma", ("image",))
            summary = {
                "n": n,
                "clusters": clusters,
                "median": median,
                "median_low": median - 0.1,
                "median_high": median + 0.1,
                "censored_high": 0,
            }
            for key, value in summary.items():
                file.put(f"{name}/summary/{key}", value, key, ())
    return path


@pytest.fixture
def stability_file(tmp_path):
    path = tmp_path / "stability.h5"
    sigma = np.linspace(0.1, 1, 10)
    own = np.exp(-sigma)[:, None]
    natural = np.concatenate([0 * own, own, 1 - own], 1)[None]
    adversarial = np.stack(
        [np.concatenate([own**4, 0 * own, 1 - own**4], 1), np.concatenate([0 * own, 0 * own, own**0], 1)]
    )
    with writing(path, Provenance()) as file:
        file.put("sigma", sigma, "sigma", ("sigma",))
        file.put("classes", ["zero", "one", "two"], "names", ("class",))
        file.put("samples", 123, "samples", ())
        file.put("example_sigma", sigma[[0, 9]], "sigma", ("example",))
        for name, frequency, target in (("natural", natural, [0]), ("adversarial", adversarial, [0, 2])):
            for part, offset in (("frequency", 0), ("low", -0.05), ("high", 0.05)):
                file.put(f"{name}/{part}", frequency + offset, part, ("image", "sigma", "class"))
            for column, values in (("index", [7] * len(target)), ("label", [1] * len(target)), ("target", target)):
                file.put(f"{name}/{column}", values, column, ("image",))
            file.put(f"{name}/examples", np.zeros((len(target), 2, 1, 8, 8)), "images", ("i", "e", "c", "y", "x"))
    return path


def texts(picture) -> list[str]:
    found = [
        text.get_text()
        for axes in picture.axes
        for text in [*axes.texts, axes.title, axes.xaxis.label, axes.yaxis.label]
    ]
    legends = [axes.get_legend() for axes in picture.axes if axes.get_legend()]
    return found + [text.get_text() for legend in legends for text in legend.get_texts()] + [picture.get_supxlabel()]


def smallest_text(picture) -> float:
    items = [text for text in picture.findobj(plt.Text) if text.get_text().strip() and text.get_visible()]
    return min(text.get_fontsize() for text in items)


@pytest.mark.parametrize("share", [0.02, 0.25, 0.5, 0.9])
def test_images_that_keep_their_class_to_the_end_do_not_take_the_axis_over(share, persistence_file, drawn, tmp_path):
    kinds = ("natural", "adversarial")
    with reading(persistence_file) as file:
        sigmas = {name: file.read(f"{name}/sigma") for name in kinds}
        keys = ("n", "clusters", "median", "median_low", "median_high")
        summaries = {name: {key: file.read(f"{name}/summary/{key}") for key in keys} for name in kinds}
    path = tmp_path / "censored.h5"
    with writing(path, Provenance()) as file:
        for name in kinds:
            kept = round(share * len(sigmas[name]))
            file.put(f"{name}/sigma", np.r_[np.full(kept, 100.0), sigmas[name][kept:]], "sigma", ("image",))
            for key, value in (summaries[name] | {"censored_high": kept}).items():
                file.put(f"{name}/summary/{key}", value, key, ())
    persistence_histogram.draw(persistence=str(path), outputs=[str(tmp_path / "a.png")], style="paper")
    axes = drawn[0].axes[0]
    assert axes.get_xlim()[1] < 3
    said = "\n".join(text.get_text() for text in axes.get_legend().get_texts())
    assert said.count("% above the axis") == 2
    # All are drawn, those above in the last bin.
    for bars in axes.containers:
        assert sum(bar.get_height() for bar in bars) == pytest.approx(1)
        assert bars[-1].get_height() >= share - 0.01


def test_the_histogram_shows_both_groups_with_n_and_interval(persistence_file, drawn, tmp_path):
    outputs = [str(tmp_path / f"a.{kind}") for kind in ("png", "pdf", "svg")]
    persistence_histogram.draw(persistence=str(persistence_file), outputs=outputs, style="paper")
    (picture,) = drawn
    legend = " ".join(texts(picture))
    assert "natural, n = 50\nmedian 0.50 [0.40, 0.60]" in legend
    assert "adversarial, n = 90 (10 origins)\nmedian 0.25 [0.15, 0.35]" in legend
    heights = [patch.get_height() for patch in picture.axes[0].containers[0].patches]
    assert sum(heights) == pytest.approx(1), "shares of images"
    assert "σ*" in picture.axes[0].get_xlabel()
    assert smallest_text(picture) >= 7
    assert picture.get_size_inches()[0] <= 3.5
    assert all(os.path.getsize(output) > 1000 for output in outputs)


def test_class_frequencies_show_the_right_curves_and_colours(stability_file, drawn, tmp_path):
    class_frequencies.draw(stability=str(stability_file), outputs=[str(tmp_path / "a.png")], style="paper", target=0)
    (picture,) = drawn
    left, right = (axes for axes in picture.axes if axes.lines)
    assert left.get_title() == "natural (one)"
    assert right.get_title() == "adversarial (zero)"
    natural, adversarial = "#0072b2", "#d55e00"
    assert picture.line_colours[0] == [adversarial, natural, "#595959"]
    assert left.lines[1].get_ydata() == pytest.approx(np.exp(-np.linspace(0.1, 1, 10)))
    assert right.lines[0].get_ydata() == pytest.approx(np.exp(-4 * np.linspace(0.1, 1, 10)))
    assert any("123 samples" in text for text in texts(picture))
    assert smallest_text(picture) >= 7


def test_a_target_that_was_not_reached_is_named(stability_file, tmp_path):
    with pytest.raises(StoreError, match="no successful adversarial image with target 1"):
        class_frequencies.draw(
            stability=str(stability_file), outputs=[str(tmp_path / "a.png")], style="paper", target=1
        )
    assert not (tmp_path / "a.png").exists()


@pytest.mark.parametrize("kind", ["png", "pdf", "svg"])
def test_equal_figures_give_equal_bytes(persistence_file, tmp_path, kind):
    for name in "ab":
        persistence_histogram.draw(
            persistence=str(persistence_file), outputs=[str(tmp_path / f"{name}.{kind}")], style="talk"
        )
    assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with figure.drawing("paper"):
        picture, _ = plt.subplots()
        with pytest.raises(StoreError, match=r"file/a\.png: cannot be written"):
            figure.save(picture, [str(tmp_path / "file" / "a.png")])


# Linear light of red, green and blue as seen without one kind of cones (Machado, Oliveira and Fernandes 2009, severity 1).
SEEN = {
    "all": np.eye(3),
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def lab(light):
    """CIE L*a*b* of linear sRGB [colour, 3], in daylight (D65)."""
    to_xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    xyz = light @ np.transpose(to_xyz) / (0.95047, 1, 1.08883)
    root = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = root.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


@pytest.mark.parametrize("style", ["paper", "talk"])
@pytest.mark.parametrize("seen", SEEN)
def test_colours_are_told_apart_by_every_reader(style, seen):
    with figure.drawing(style):
        colours = np.array([to_rgb(f"C{i}") for i in range(len(plt.rcParams["axes.prop_cycle"]))] + [(0, 0, 0)])
    light = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    places = lab(np.clip(light @ np.transpose(SEEN[seen]), 0, 1))
    apart = np.linalg.norm(places[:, None] - places, axis=2)[np.triu_indices(len(places), 1)]
    # Colours 2.3 apart are just told apart side by side.
    assert apart.min() > 15


def test_what_makes_a_figure_hard_to_read_is_found():
    with figure.drawing("paper"):
        picture, (above, below) = plt.subplots(2, 1, figsize=(7.2, 3))
        above.set(xlabel="x", ylabel="y")
        above.set_title("small", fontsize=6)
        above.plot([0, 1], [0, 1], color="red")
        above.text(0.5, 0.5, "one text")
        above.text(0.52, 0.52, "another text")
        above.text(0.8, 0.5, "a text that is much too long for the figure and runs beyond its edge, where it is cut")
        below.set_xlabel("x")
        picture.canvas.draw()
        found = problems(picture)
        above.set_xlabel("x, n = 12 (single images)")
        assert not {"states no n", "shows no interval"} & set(problems(picture))
    assert [line for line in found if "cut" not in line and "overlap" not in line] == [
        "7.2 inches wide, more than two columns",
        "states no n",
        "shows no interval",
        "'small' has 6 points",
        "the colour #ff0000 is not the style's",
        "the y axis of a panel has numbers and no label",
    ]
    assert any(line.startswith("'a text that is") and "cut" in line for line in found)
    assert "'one text' and 'another text' overlap" in found


def test_natural_and_adversarial_are_told_apart_without_colour():
    with figure.drawing("paper"):
        cycle = [to_hex(f"C{i}") for i in range(2)]
    # Relative luminance: what is left in grey print.
    luminance = [float(np.dot((0.2126, 0.7152, 0.0722), to_rgb(colour))) for colour in cycle]
    assert abs(luminance[0] - luminance[1]) > 0.05
