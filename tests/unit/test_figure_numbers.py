"""The CSV beside a figure holds what was drawn, so that the figure can be drawn again from it alone."""

import csv

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap

from pipeline.figures.artist_numbers import PICTURE
from pipeline.figures.numbers import COLUMNS, write_numbers
from pipeline.figures.style import drawing, save
from pipeline.store import Provenance, writing
from scripts.figures import persistence_histogram

X = np.array([0.1, 1 / 3, 2.0])
Y = np.array([np.pi, np.nan, 1e-300])


@pytest.fixture
def panel():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


@pytest.fixture
def rows_of(tmp_path):
    """Rows of the numbers of a panel's figure, of one kind or all."""

    def read(axes, kind=None):
        write_numbers(axes.figure, tmp_path / "numbers.csv")
        with open(tmp_path / "numbers.csv", newline="", encoding="utf-8") as file:
            return [row for row in csv.DictReader(file) if kind in (None, row["kind"])]

    return read


def column(rows, name):
    return np.array([float(row[name] or "nan") for row in rows])


def test_lines_come_back_bit_for_bit_with_gaps(panel, rows_of):
    panel.plot(X, Y, label="shown", color="#102030")
    rows = rows_of(panel, "line")
    assert np.array_equal(column(rows, "x"), X)
    assert np.array_equal(column(rows, "y"), Y, equal_nan=True)
    assert {(row["series"], row["color"], row["panel"]) for row in rows} == {("shown", "#102030", "1")}


def test_names_are_labels_hidden_labels_or_kind_and_number(panel, rows_of):
    panel.plot([0, 1], [0, 1], label="_hidden from the legend")
    panel.plot([0, 1], [1, 0])
    panel.plot([0, 1], [2, 2], label="two\nlines")
    panel.plot([], [], label="an entry of the legend only", color="#445566")
    panel.legend(title="title of the legend")
    rows = rows_of(panel)
    lines = [row["series"] for row in rows if row["kind"] == "line"]
    assert lines[::2] == ["hidden from the legend", "line 2", "two; lines"]
    entries = {row["text"]: row["color"] for row in rows if row["kind"] == "legend"}
    assert entries["an entry of the legend only"] == "#445566"
    assert "title of the legend" in [row["text"] for row in rows if row["kind"] == "text"]


def test_error_bars_have_their_ends_also_where_one_is_unknown(panel, rows_of):
    low, high = np.array([0.1, 0.2, np.nan]), np.array([0.3, 0.25, 0.5])
    panel.errorbar(X, [1, 2, 3], [low, high], [0.5, 0.25, 0.125], label="measured", capsize=2)
    rows = rows_of(panel, "error bar")
    assert len(rows) == 3
    assert np.allclose(column(rows, "y_low"), np.array([1, 2, 3]) - low, rtol=1e-15, equal_nan=True)
    assert np.allclose(column(rows, "y_high"), np.array([1, 2, 3]) + high, rtol=1e-15)
    assert np.allclose(column(rows, "x_low"), X - [0.5, 0.25, 0.125], rtol=1e-15)
    assert np.array_equal(column(rows, "x"), X)
    assert not rows_of(panel, "line"), "caps and bars are no lines of their own"


def test_bands_in_pieces_and_across(panel, rows_of):
    x = np.arange(6.0)
    known = np.array([True, True, False, True, True, True])
    panel.fill_between(x, x - 1, x + 0.5, where=known, label="_band")
    rows = rows_of(panel, "band")
    assert np.array_equal(column(rows, "x"), x[known])
    assert np.array_equal(column(rows, "y_low"), x[known] - 1)
    assert np.array_equal(column(rows, "y_high"), x[known] + 0.5)
    assert [row["part"] for row in rows] == ["1", "1", "2", "2", "2"]
    panel.clear()
    panel.fill_betweenx(x, x - 1, x + 0.5)
    rows = rows_of(panel, "band")
    assert np.array_equal(column(rows, "y"), x)
    assert np.array_equal(column(rows, "x_high"), x + 0.5)


def test_histograms_give_edges_and_heights(panel, rows_of):
    values = np.random.default_rng(0).normal(size=100)
    heights, edges, _ = panel.hist(values, 7, label="values")
    steps = panel.stairs(heights / 2, edges, label="steps")
    rows = rows_of(panel, "bar")
    assert {row["series"] for row in rows} == {"values"}
    assert np.allclose(column(rows, "x_low"), edges[:-1], rtol=1e-12)
    assert np.allclose(column(rows, "x_high"), edges[1:], rtol=1e-12)
    assert np.array_equal(column(rows, "y_high"), heights)
    assert np.array_equal(column(rows_of(panel, "steps"), "y"), steps.get_data().values)


def test_scatter_meshes_and_images_give_values_at_places(panel, rows_of):
    values = np.arange(6.0).reshape(2, 3) / 7
    panel.pcolormesh([0, 1, 2, 4], [0, 1, 3], values, label="_map")
    rows = rows_of(panel, "cell")
    assert np.array_equal(column(rows, "value"), values.ravel())
    assert column(rows, "x").tolist() == [0.5, 1.5, 3, 0.5, 1.5, 3]
    assert column(rows, "y").tolist() == [0.5, 0.5, 0.5, 2, 2, 2]
    panel.clear()
    classes = ListedColormap(["#ff0000", "#00ff00"])
    panel.imshow([[0, 1], [1, 1]], cmap=classes, vmin=-0.5, vmax=1.5, extent=(0, 2, 4, 0), aspect="auto")
    rows = rows_of(panel, "cell")
    assert [row["color"] for row in rows] == ["#ff0000", "#00ff00", "#00ff00", "#00ff00"]
    assert column(rows, "y").tolist() == [1, 1, 3, 3]
    panel.clear()
    panel.scatter(X, [1, 2, 3], c=Y)
    assert np.array_equal(column(rows_of(panel, "points"), "value"), Y, equal_nan=True)
    panel.clear()
    panel.imshow(np.float32([[0.1, 0.2, 0.3]]))
    rows = rows_of(panel, "cell")
    assert [row["value"] for row in rows] == ["0.1", "0.2", "0.3"], "no digits that a float32 does not have"


def test_pictures_are_named_but_their_pixels_left_out(panel, rows_of):
    panel.imshow(np.zeros((28, 28)), label=PICTURE)
    panel.imshow(np.zeros((5, 4, 3)))
    rows = rows_of(panel, "picture")
    assert [row["text"] for row in rows] == ["28 rows, 28 columns of pixels", "5 rows, 4 columns of pixels"]
    assert not rows_of(panel, "cell")


def test_contours_and_segments_keep_their_pieces(panel, rows_of):
    place = np.linspace(-2, 2, 81)
    panel.contour(place, place, np.hypot(*np.meshgrid(place, place)), levels=[0.5, 1.0])
    panel.add_collection(LineCollection([[(0, 0), (1, 1)], [(2, 2), (3, 5), (4, 0)]]))
    rows = rows_of(panel, "contour")
    # Linear interpolation between places 0.05 apart leaves a circle by at most the sagitta of a cell's diagonal.
    assert np.hypot(column(rows, "x"), column(rows, "y")) == pytest.approx(column(rows, "value"), abs=0.002)
    assert {row["part"] for row in rows} == {"1", "2"}
    assert [row["part"] for row in rows_of(panel, "line")] == ["1", "1", "2", "2", "2"]


def test_marks_across_the_panel_give_one_coordinate(panel, rows_of):
    panel.axvline(0.25)
    panel.axhspan(1, 2)
    panel.axline((0.0, 1.0), slope=2.0)
    panel.plot([0, 1], [0, 1], transform=panel.transAxes)
    panel.text(0.5, 0.5, "a note", transform=panel.transAxes)
    assert [(row["x"], row["y"]) for row in rows_of(panel, "vertical line")] == [("0.25", "")]
    assert [(row["y_low"], row["y_high"]) for row in rows_of(panel, "horizontal band")] == [("1.0", "2.0")]
    assert [(row["x"], row["y"]) for row in rows_of(panel, "unbounded line")] == [("0.0", "1.0"), ("1.0", "3.0")]
    assert not rows_of(panel, "line"), "decoration in shares of the panel is no number"
    assert [row["text"] for row in rows_of(panel, "text")] == ["a note"]


def test_axes_say_label_scale_limits_and_named_ticks(rows_of):
    figure, (above, below) = plt.subplots(2, 1, sharex=True)
    above.plot([1, 10], [1, 2])
    above.set(title="upper", ylabel="height (m)", yscale="log")
    below.set(xlabel="time (s)", xlim=(1, 10))
    below.set_yticks([0, 1], ["no", "yes"])
    picture = below.scatter([1, 2], [0, 1], c=[0.0, 1.0])
    figure.colorbar(picture, ax=below, label="heat (K)")
    rows = rows_of(above)
    plt.close(figure)
    found = {(row["panel"], row["kind"]): row for row in rows if row["kind"].endswith("axis")}
    assert found["1", "x axis"]["text"] == found["2", "x axis"]["text"] == "time (s)"
    assert (found["1", "y axis"]["series"], found["1", "y axis"]["text"]) == ("log", "height (m)")
    assert (found["2", "x axis"]["x_low"], found["2", "x axis"]["x_high"]) == ("1.0", "10.0")
    assert found["2", "value axis"]["text"] == "heat (K)"
    assert [(row["y"], row["text"]) for row in rows if row["kind"] == "y tick"] == [("0", "no"), ("1", "yes")]
    assert {row["panel"] for row in rows} == {"1", "2"}, "a colour bar is no panel"


def test_bodies_in_three_dimensions():
    figure = plt.figure()
    axes = figure.add_subplot(projection="3d")
    axes.plot([0, 1], [2, 3], [4, 5], label="line")
    axes.scatter([0.5], [0.25], [0.125])
    from pipeline.figures.numbers import _figure_rows

    blocks = {block["kind"]: block for block in _figure_rows(figure)}
    plt.close(figure)
    assert np.array_equal(blocks["line"]["z"], [4, 5])
    assert float(blocks["points"]["z"][0]) == 0.125


def test_an_artist_of_another_kind_is_refused(panel, rows_of):
    panel.stackplot([0, 1], [1, 2])
    panel.add_artist(plt.matplotlib.patches.Wedge((0, 0), 1, 0, 90))
    with pytest.raises(TypeError, match="Wedge"):
        rows_of(panel)


def test_a_figure_of_a_script_shows_what_the_file_holds(tmp_path):
    generator = np.random.default_rng(1)
    sigma = {"natural": generator.gamma(4, 0.1, 50), "adversarial": generator.gamma(4, 0.05, 30)}
    with writing(tmp_path / "persistence.h5", Provenance()) as file:
        for name, values in sigma.items():
            file.put(f"{name}/sigma", values, "sigma", ("image",))
            middle = np.median(values)
            summary = {"n": len(values), "clusters": len(values), "median": middle, "censored_high": 0}
            summary |= {"median_low": middle * 0.9, "median_high": middle * 1.1}
            for key, value in summary.items():
                file.put(f"{name}/summary/{key}", value, key, ())
    outputs = [str(tmp_path / f"figure.{kind}") for kind in ("png", "csv")]
    for _ in range(2):
        persistence_histogram.draw(persistence=str(tmp_path / "persistence.h5"), outputs=outputs, style="paper")
        text = (tmp_path / "figure.csv").read_bytes()
    with open(tmp_path / "figure.csv", newline="", encoding="utf-8") as file:
        assert tuple(next(csv.reader(file))) == COLUMNS
        file.seek(0)
        rows = list(csv.DictReader(file))
    for name, values in sigma.items():
        bars = [row for row in rows if row["kind"] == "bar" and row["series"].startswith(name)]
        # Weights of 1 / n are summed in floating point.
        assert column(bars, "y_high").sum() == pytest.approx(1, rel=1e-12)
        edges = [*column(bars, "x_low"), float(bars[-1]["x_high"])]
        counts = np.histogram(np.minimum(values, edges[-1]), edges)[0]
        assert column(bars, "y_high") == pytest.approx(counts / len(values), rel=1e-12)
        (line,) = (row for row in rows if row["kind"] == "vertical line" and row["series"] == f"median, {name}")
        assert float(line["x"]) == np.median(values)
    persistence_histogram.draw(persistence=str(tmp_path / "persistence.h5"), outputs=outputs[1:], style="paper")
    assert (tmp_path / "figure.csv").read_bytes() == text


def test_numbers_are_written_whole_or_not_at_all(tmp_path):
    with drawing("paper"):
        figure, axes = plt.subplots()
        axes.add_artist(plt.matplotlib.patches.Wedge((0, 0), 1, 0, 90))
        with pytest.raises(TypeError):
            save(figure, [str(tmp_path / "figure.csv")])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("projection", ["rectilinear", "3d"])
def test_a_series_without_points_has_no_rows(projection, rows_of):
    figure = plt.figure()
    panel = figure.add_subplot(projection=projection)
    if projection == "3d":
        panel.plot([], [], [])
        panel.scatter([], [], [])
    else:
        panel.errorbar([], [], yerr=[[], []], fmt="o")
        panel.bar([], [])
        panel.scatter([], [])
    panel.set_title("nothing was found")
    rows = rows_of(panel)
    plt.close(figure)
    assert {row["kind"] for row in rows} <= {"title", "x axis", "y axis", "z axis"}


def test_columns_of_unlike_lengths_are_never_cut(panel, rows_of, monkeypatch):
    unlike = {"kind": "line", "x": [1.0, 2.0], "y": []}
    monkeypatch.setattr("pipeline.figures.numbers.artist_rows", lambda artist, axes: iter([unlike]))
    with pytest.raises(ValueError, match="zip"):
        rows_of(panel)


def test_hidden_whole_numbers_are_gaps(panel, rows_of):
    panel.imshow(np.ma.array([[1, 2], [3, 4]], mask=[[True, False], [False, False]]))
    assert [row["value"] for row in rows_of(panel, "cell")] == ["", "2", "3", "4"]
