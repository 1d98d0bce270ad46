"""Figures of attacks and of several cells draw what the files hold, and say what is wrong with them."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

from pipeline.figures import style
from pipeline.store import Provenance, StoreError, writing
from scripts.figures import (
    adversarial_examples,
    class_frequencies_by_target,
    distortion_histogram,
    persistence_histograms,
)

MODULES = (adversarial_examples, class_frequencies_by_target, distortion_histogram, persistence_histograms)
NATURAL, ADVERSARIAL, OTHER = "#0072b2", "#d55e00", "#595959"
DIMS = ("image", "channel", "row", "column")


@pytest.fixture
def drawn(monkeypatch):
    """Figures that scripts save, kept open enough to look at."""
    kept = []
    save = style.save

    def keep(picture, outputs):
        save(picture, outputs)
        # Cycle colours mean the style's only while it is in force.
        picture.line_colours = [[to_hex(line.get_color()) for line in axes.lines] for axes in picture.axes]
        kept.append(picture)

    for module in MODULES:
        monkeypatch.setattr(module, "save", keep)
    return kept


@pytest.fixture
def attack_file(tmp_path):
    """Six rows: the second failed, the third and the fifth reach the class that the first reached."""

    def store(success=(1, 0, 1, 1, 1, 1), channels=1, clusters=2, summary=True, classes=("cat", "dog", "owl")):
        path = tmp_path / "attack.h5"
        generator = np.random.default_rng(0)
        x = generator.random((6, channels, 4, 4)).astype(np.float32)
        change = 0.05 * np.arange(1, 7, dtype=np.float32)[:, None, None, None] * np.ones((1, channels, 4, 4))
        works = np.array(success, bool)
        distortion = 0.05 * np.arange(1, 7)
        with writing(path, Provenance()) as file:
            file.put("x", x, "natural", DIMS)
            file.put("x_adv", x + change, "adversarial", DIMS)
            file.put("classes", list(classes), "names", ("class",))
            columns = {"label": [1, 0, 1, 1, 0, 0], "predicted": [2, 1, 2, 0, 2, 1]}
            columns |= {"success": works, "distortion": distortion, "target": [2, 1, 2, 0, 2, 1]}
            for name, values in columns.items():
                file.put(name, values, name, ("image",))
            if summary:
                limits = (0.1234, 0.2345) if clusters > 1 else (np.nan, np.nan)
                values = {"mean": 0.1789, "mean_low": limits[0], "mean_high": limits[1], "n": works.sum()}
                for key, value in (values | {"clusters": clusters}).items():
                    file.put(f"summary/{key}", value, key, ())
        return str(path)

    return store


@pytest.fixture
def stability_file(tmp_path):
    """Two origins; the first has attacks with targets 2 and 0, and one without target that ended in class 2."""

    def store(rows=3):
        path = tmp_path / "stability.h5"
        sigma = np.linspace(0.1, 1, 10)
        frequency = np.zeros((4, 10, 3))
        for row, reached in enumerate((2, 0, 2, 0)):
            frequency[row, :, reached] = np.exp(-(row + 1) * sigma)
            frequency[row, :, 1] = 1 - frequency[row, :, reached]
        # Noise of the lowest sigma already hides that the attack reached its target.
        frequency[1, :, [0, 1]] = frequency[1][:, [1, 0]].T
        keep = [0, 1, 2, 3][: rows + 1] if rows else []
        with writing(path, Provenance()) as file:
            file.put("sigma", sigma, "sigma", ("sigma",))
            file.put("classes", ["cat", "dog", "owl"], "names", ("class",))
            file.put("samples", 123, "samples", ())
            file.put("example_sigma", sigma[[0, 9]], "sigma", ("example",))
            for part, offset in (("frequency", 0), ("low", -0.05), ("high", 0.05)):
                values = frequency[keep] + offset
                file.put(f"adversarial/{part}", values, part, ("image", "sigma", "class"))
            columns = {"index": [7, 7, 7, 9], "label": [1, 1, 1, 1], "target": [2, 0, -1, 0]}
            for name, values in columns.items():
                file.put(f"adversarial/{name}", np.array(values, int)[keep], name, ("image",))
            file.put("adversarial/examples", np.zeros((len(keep), 2, 1, 4, 4)), "images", ("i", "e", "c", "y", "x"))
        return str(path)

    return store


@pytest.fixture
def persistence_file(tmp_path):
    def store(name, scale, censored_low=0, censored_high=0):
        path = tmp_path / f"{name}.h5"
        generator = np.random.default_rng(0)
        with writing(path, Provenance()) as file:
            for group, n, clusters, median in (("natural", 50, 50, scale), ("adversarial", 90, 10, scale / 2)):
                file.put(f"{group}/sigma", generator.gamma(4, median / 4, n), "sigma", ("image",))
                values = {"n": n, "clusters": clusters, "median": median}
                values |= {"median_low": median - 0.1, "median_high": median + 0.1}
                values |= {"censored_low": censored_low, "censored_high": censored_high * (group == "adversarial")}
                for key, value in values.items():
                    file.put(f"{group}/summary/{key}", value, key, ())
        return str(path)

    return store


def smallest_text(picture) -> float:
    items = [text for text in picture.findobj(plt.Text) if text.get_text().strip() and text.get_visible()]
    return min(text.get_fontsize() for text in items)


def legend(axes) -> str:
    return "\n".join(text.get_text() for text in axes.get_legend().get_texts())


def sums(picture):
    return [axes for axes in picture.axes if axes.get_title()]


def test_examples_show_each_class_reached_before_any_again(attack_file, drawn, tmp_path):
    output = [str(tmp_path / f"a.{kind}") for kind in ("png", "pdf", "svg")]
    adversarial_examples.draw(attack=attack_file(), outputs=output, style="paper", examples=4)
    (picture,) = drawn
    # Rows 0, 3 and 5 reach new classes; of the others that succeeded, row 2 comes first.
    assert [axes.get_title() for axes in sums(picture)] == ["dog → owl", "dog → owl", "dog → cat", "cat → dog"]
    notes = [text.get_text() for axes in sums(picture) for text in axes.texts if "distortion" in text.get_text()]
    assert notes == [f"distortion {value:#.3g}" for value in (0.05, 0.15, 0.2, 0.3)]
    assert all(len(axes.images) == 3 for axes in sums(picture))
    bar = next(axes for axes in picture.axes if axes.get_xlabel())
    assert bar.get_xlabel() == "perturbation (pixel range = 1)"
    assert bar.get_xlim() == pytest.approx((-0.3, 0.3)), "one scale for all, as far as the largest change"
    assert smallest_text(picture) >= 7
    assert picture.get_size_inches()[0] <= 3.5


def test_examples_show_the_stored_images(attack_file, drawn, tmp_path):
    adversarial_examples.draw(attack=attack_file(), outputs=[str(tmp_path / "a.png")], style="paper", examples=1)
    original, middle, adversarial = (image.get_array() for image in sums(drawn[0])[0].images)
    x = np.random.default_rng(0).random((6, 1, 4, 4)).astype(np.float32)[0, 0]
    assert np.asarray(original) == pytest.approx(x)
    assert np.asarray(adversarial) == pytest.approx(x + 0.05)
    red = plt.get_cmap("RdBu_r")(1.0)
    assert np.asarray(middle)[0, 0] == pytest.approx(red), "the largest change lies at the end of the scale"


def test_colour_images_keep_their_colours(attack_file, drawn, tmp_path):
    path = attack_file(channels=3)
    adversarial_examples.draw(attack=path, outputs=[str(tmp_path / "a.png")], style="paper", examples=2)
    assert [np.shape(image.get_array()) for image in sums(drawn[0])[0].images] == [(4, 4, 3)] * 3
    # A change of 0.05 on a scale from -0.2 to 0.2.
    assert np.asarray(sums(drawn[0])[0].images[1].get_array())[0, 0] == pytest.approx([0.625] * 3, abs=1e-5)
    assert any("each colour" in axes.get_xlabel() for axes in drawn[0].axes)


def test_long_class_names_break_the_title(attack_file, drawn, tmp_path):
    path = attack_file(classes=("cat", "indigo bunting", "alligator lizard"))
    adversarial_examples.draw(attack=path, outputs=[str(tmp_path / "a.png")], style="paper", examples=2)
    assert [axes.get_title() for axes in sums(drawn[0])] == [
        "indigo bunting\n→ alligator lizard",
        "indigo bunting → cat",
    ]


def test_fewer_successes_than_asked_for_are_all_drawn(attack_file, drawn, tmp_path):
    path = attack_file(success=(0, 0, 0, 1, 1, 1))
    adversarial_examples.draw(attack=path, outputs=[str(tmp_path / "a.png")], style="paper")
    assert len(sums(drawn[0])) == 3


def test_the_distortion_histogram_states_the_stored_mean(attack_file, drawn, tmp_path):
    path = attack_file()
    distortion_histogram.draw(attack=path, outputs=[str(tmp_path / "a.png")], style="paper", published=0.089)
    (picture,) = drawn
    (axes,) = picture.axes
    assert "n = 5 (2 origins), of 6 attacked\nmean 0.1789 [0.1234, 0.2345]" in legend(axes)
    assert "published mean 0.089" in legend(axes)
    assert [line.get_xdata()[0] for line in axes.lines] == [0.1789, 0.089]
    assert picture.line_colours[0] == [ADVERSARIAL, "#000000"]
    assert axes.lines[1].get_linestyle() == "--"
    assert sum(bar.get_height() for bar in axes.containers[0]) == pytest.approx(1), "shares of images"
    assert axes.get_xlabel() == "distortion: RMS change of a pixel (pixel range = 1)"
    assert axes.get_ylabel() == "share of images per bin"
    assert smallest_text(picture) >= 7
    assert picture.get_size_inches()[0] <= 3.5


def test_a_single_origin_gives_a_mean_without_interval(attack_file, drawn, tmp_path):
    path = attack_file(clusters=1)
    distortion_histogram.draw(attack=path, outputs=[str(tmp_path / "a.png")], style="paper")
    assert "n = 5 (1 origin), of 6 attacked\nmean 0.1789 (no interval)" in legend(drawn[0].axes[0])
    assert len(drawn[0].axes[0].lines) == 1, "and nothing published"


@pytest.mark.parametrize(("script", "what"), [(adversarial_examples, "image"), (distortion_histogram, "distortion")])
def test_an_attack_without_success_is_named(script, what, attack_file, tmp_path):
    path = attack_file(success=[0] * 6, summary=False)
    with pytest.raises(StoreError, match=rf"attack\.h5: no attack succeeded.*{what}"):
        script.draw(attack=path, outputs=[str(tmp_path / "a.png")], style="paper")
    assert not (tmp_path / "a.png").exists()


def test_files_that_do_not_fit_are_named(attack_file, persistence_file, tmp_path):
    output = [str(tmp_path / "a.png")]
    with pytest.raises(StoreError, match=r"attack\.h5: dataset 'summary/mean' is missing"):
        distortion_histogram.draw(attack=attack_file(summary=False), outputs=output, style="paper")
    with pytest.raises(StoreError, match=r"attack\.h5: images must have 1 colour or 3 to be drawn, found 2"):
        adversarial_examples.draw(attack=attack_file(channels=2), outputs=output, style="paper")
    with pytest.raises(StoreError, match=r"attack\.h5: dataset 'natural/sigma' is missing"):
        persistence_histograms.draw(persistence=[attack_file()], outputs=output, style="paper", names=["a"])
    with pytest.raises(StoreError, match=r"a\.h5: dataset 'sigma' is missing"):
        class_frequencies_by_target.draw(stability=persistence_file("a", 1), outputs=output, style="paper")
    with pytest.raises(StoreError, match="expected a name for each of 1 files of persistence, found 2"):
        persistence_histograms.draw(
            persistence=[persistence_file("a", 1)], outputs=output, style="paper", names=["a", "b"]
        )


def test_every_success_of_one_origin_gets_a_panel(stability_file, drawn, tmp_path):
    class_frequencies_by_target.draw(stability=stability_file(), outputs=[str(tmp_path / "a.png")], style="paper")
    (picture,) = drawn
    panels = [axes for axes in picture.axes if axes.lines]
    assert [axes.get_title() for axes in panels] == ["dog → cat", "dog → owl", "dog → owl"], "not those of origin 9"
    colours = [found for found in picture.line_colours if found]
    assert colours == [[ADVERSARIAL, NATURAL, OTHER], *[[OTHER, NATURAL, ADVERSARIAL]] * 2]
    sigma = np.linspace(0.1, 1, 10)
    assert panels[0].lines[1].get_ydata() == pytest.approx(np.exp(-2 * sigma))
    assert panels[1].lines[2].get_ydata() == pytest.approx(np.exp(-sigma))
    assert {axes.get_xlim() for axes in panels} == {(0, 1)}
    assert {axes.get_ylim() for axes in panels} == {(0, 1.05)}
    assert len([axes for axes in picture.axes if axes.images]) == 3, "a strip of noisy images each"
    assert picture.get_supxlabel() == "σ of the noise (pixel range = 1)"
    assert picture.get_supylabel() == "class frequency (n = 123 samples a point)"
    assert picture.legends[0].get_texts()[0].get_text() == "class dog of the natural image"
    assert smallest_text(picture) >= 7
    assert picture.get_size_inches()[0] <= 7


def test_a_sweep_without_adversarial_images_is_named(stability_file, tmp_path):
    with pytest.raises(StoreError, match=r"stability\.h5: holds no successful adversarial image"):
        class_frequencies_by_target.draw(stability=stability_file(0), outputs=[str(tmp_path / "a.png")], style="paper")


@pytest.mark.parametrize(("count", "across"), [(1, 1), (2, 2), (3, 3), (4, 2), (5, 3)])
def test_networks_stand_side_by_side_each_on_its_scale(count, across, persistence_file, drawn, tmp_path):
    names = [f"net-{i}" for i in range(count)]
    files = [persistence_file(name, 2.0**i) for i, name in enumerate(names)]
    persistence_histograms.draw(persistence=files, outputs=[str(tmp_path / "a.png")], style="paper", names=names)
    (picture,) = drawn
    panels = [axes for axes in picture.axes if axes.containers]
    assert [axes.get_legend().get_title().get_text() for axes in panels] == names
    assert picture.axes[0].get_gridspec().ncols == across
    for i, axes in enumerate(panels):
        low, high = 2.0**i - 0.1, 2.0**i + 0.1
        assert f"natural, n = 50\nmedian {2.0**i:.2f} [{low:.2f}, {high:.2f}]" in legend(axes)
        assert "adversarial, n = 90 (10 origins)\nmedian" in legend(axes)
        assert "range" not in legend(axes), "nothing is censored"
        assert axes.get_xlabel() == "persistence σ* (pixel range = 1)"
        assert [line.get_xdata()[0] for line in axes.lines] == [2.0**i, 2.0**i / 2]
    limits = [axes.get_xlim()[1] for axes in panels]
    assert limits == sorted(set(limits)), "a scale for each"
    assert picture.line_colours[0] == [NATURAL, ADVERSARIAL]
    assert smallest_text(picture) >= 7
    assert picture.get_size_inches()[0] <= 7


def test_censored_images_are_counted(persistence_file, drawn, tmp_path):
    path = persistence_file("a", 1, censored_low=2, censored_high=3)
    persistence_histograms.draw(persistence=[path], outputs=[str(tmp_path / "a.png")], style="paper", names=["a"])
    natural, adversarial = (text.get_text() for text in drawn[0].axes[0].get_legend().get_texts())
    assert natural.endswith("\n2 below the range")
    assert adversarial.endswith("\n2 below the range, 3 above the range")


def test_equal_figures_give_equal_bytes(attack_file, stability_file, persistence_file, tmp_path):
    attack, stability, persistence = attack_file(), stability_file(), persistence_file("a", 1)
    for name in "ab":
        common = {"style": "talk"}
        output = [str(tmp_path / f"{name}{i}.png") for i in range(4)]
        adversarial_examples.draw(attack=attack, outputs=output[:1], **common)
        distortion_histogram.draw(attack=attack, outputs=output[1:2], **common)
        class_frequencies_by_target.draw(stability=stability, outputs=output[2:3], **common)
        persistence_histograms.draw(persistence=[persistence] * 2, outputs=output[3:], names=["x", "y"], **common)
    for i in range(4):
        assert (tmp_path / f"a{i}.png").read_bytes() == (tmp_path / f"b{i}.png").read_bytes()
