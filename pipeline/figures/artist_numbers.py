"""The numbers that a matplotlib artist draws, as blocks of rows (`pipeline.figures.numbers` writes them)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import FillBetweenPolyCollection, LineCollection, PathCollection, QuadMesh
from matplotlib.colors import ListedColormap, to_hex, to_rgba_array
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.contour import QuadContourSet
from matplotlib.image import AxesImage
from matplotlib.legend import Legend
from matplotlib.lines import AxLine, Line2D
from matplotlib.offsetbox import AnnotationBbox
from matplotlib.patches import PathPatch, Polygon, Rectangle, StepPatch
from matplotlib.quiver import Quiver
from matplotlib.spines import Spine
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Transform
from mpl_toolkits.mplot3d.art3d import Line3D, Path3DCollection, Poly3DCollection

# Label of images that show an input of a network: the pixels are results of other rules, and no measurement.
PICTURE = "_picture"

# Colour maps of at most so many colours show classes.
CLASSES = 32

# Columns by name, each one value or one for each row.
Rows = Mapping[str, Any]


def artist_rows(artist: Any, axes: Axes) -> Iterator[Rows]:
    """What an artist or a container of a panel draws: no block, or one; of a legend one for each entry.

    Raises:
        TypeError: artists of its kind are not read.
    """
    for kinds, read in READERS:
        if isinstance(artist, kinds):
            yield from read(artist, axes)
            return
    raise TypeError(f"the numbers of a {type(artist).__name__} cannot be read from a figure")


def joined(text: str) -> str:
    """A text of several lines on one."""
    return "; ".join(part.strip() for part in text.splitlines() if part.strip())


def _colours(colours: Any, length: int) -> str | list[str]:
    """One name for all rows, or one for each."""
    names = [to_hex(colour) for colour in np.atleast_2d(colours)]
    return "" if not names else names[0] if len(set(names)) == 1 else (names * -(-length // len(names)))[:length]


def _in_data(transform: Any, axes: Axes) -> tuple[bool, bool]:
    """Whether x and y of a transform are data, not shares of the axes."""
    across, up = transform.contains_branch_separately(axes.transData)
    return across, up


def _line_rows(line: Any, axes: Axes) -> Iterator[Rows]:
    x, y = np.atleast_1d(line.get_xdata(orig=False)), np.atleast_1d(line.get_ydata(orig=False))
    points = line.get_linestyle() in ("None", "none", " ", "")
    color = to_hex(line.get_markerfacecolor() if points else line.get_color())
    match _in_data(line.get_transform(), axes):
        case True, True if len(x):
            yield {"kind": "points" if points else "line", "x": x, "y": y, "color": color}
        case True, False:
            yield {"kind": "vertical line", "x": x[0], "color": color}
        case False, True:
            yield {"kind": "horizontal line", "y": y[0], "color": color}


def _unbounded_rows(line: Any, axes: Axes) -> Iterator[Rows]:
    first, second = line.get_xy1(), line.get_xy2()
    if second is None:
        second = (first[0] + 1, first[1] + line.get_slope())
    x, y = zip(first, second, strict=True)
    yield {"kind": "unbounded line", "x": x, "y": y, "color": to_hex(line.get_color())}


def _line_3d_rows(line: Any, axes: Axes) -> Iterator[Rows]:
    x, y, z = line.get_data_3d()
    yield {"kind": "line", "x": x, "y": y, "z": z, "color": to_hex(line.get_color())}


def _bar_rows(bars: Any, axes: Axes) -> Iterator[Rows]:
    boxes = np.array([bar.get_bbox().extents for bar in bars.patches])
    if len(boxes):
        color = _colours([bar.get_facecolor() for bar in bars.patches], len(boxes))
        yield {"kind": "bar", **_sides(boxes), "color": color}


def _sides(boxes: np.ndarray) -> Rows:
    return dict(zip(("x_low", "y_low", "x_high", "y_high"), boxes.T, strict=True))


def _error_bar_rows(bars: Any, axes: Axes) -> Iterator[Rows]:
    centre, _, collections = bars.lines
    columns: dict[str, Any] = {}
    directions = [name for name, has in (("x", bars.has_xerr), ("y", bars.has_yerr)) if has]
    for name, collection in zip(directions, collections, strict=True):
        # `get_segments` would leave out ends that are not finite.
        ends = np.array([path.vertices[:, "xy".index(name)] for path in collection.get_paths()]).reshape(-1, 2)
        columns |= {f"{name}_low": ends[:, 0], f"{name}_high": ends[:, 1]}
        color = _colours(collection.get_edgecolor(), len(ends))
    if centre is not None:
        columns |= {"x": centre.get_xdata(orig=False), "y": centre.get_ydata(orig=False)}
        color = to_hex(centre.get_color())
    yield {"kind": "error bar", **columns, "color": color}


def _band_rows(band: Any, axes: Axes) -> Iterator[Rows]:
    along, across = ("x", "y") if band.t_direction == "x" else ("y", "x")
    if all(_in_data(band.get_transform(), axes)) and band.get_paths():
        low, high = [], []
        for path in band.get_paths():
            # A start, one edge, an end, the other edge backwards, and the start again.
            n = (len(path.vertices) - 3) // 2
            low.append(path.vertices[1 : n + 1])
            high.append(path.vertices[n + 2 : 2 * n + 2][::-1])
        place, value = "xy".index(along), "xy".index(across)
        columns = {
            along: _stacked(low)[:, place],
            f"{across}_low": _stacked(low)[:, value],
            f"{across}_high": _stacked(high)[:, value],
        }
        yield {"kind": "band", "part": _parts(low), **columns, "color": to_hex(band.get_facecolor()[0])}


def _stacked(pieces: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(pieces) if pieces else np.empty((0, 2))


def _parts(pieces: Sequence[np.ndarray]) -> Any:
    """The number of the piece for each row; nothing where there is one piece only."""
    return np.repeat(np.arange(1, len(pieces) + 1), [len(piece) for piece in pieces]) if len(pieces) > 1 else ""


def _segment_rows(lines: Any, axes: Axes) -> Iterator[Rows]:
    pieces = [np.asarray(path.vertices) for path in lines.get_paths()]
    if not pieces:
        return
    points, color = _stacked(pieces), _colours(lines.get_edgecolor(), len(pieces))
    each = np.repeat(np.arange(len(pieces)), [len(piece) for piece in pieces])
    match _in_data(lines.get_transform(), axes):
        case True, True:
            values = "" if lines.get_array() is None else np.asarray(lines.get_array())[each]
            colors = color if isinstance(color, str) else np.asarray(color)[each]
            yield {
                "kind": "line",
                "part": each + 1,
                "x": points[:, 0],
                "y": points[:, 1],
                "value": values,
                "color": colors,
            }
        case True, False:
            yield {"kind": "vertical line", "x": [piece[0, 0] for piece in pieces], "color": color}
        case False, True:
            yield {"kind": "horizontal line", "y": [piece[0, 1] for piece in pieces], "color": color}


def _contour_rows(contours: Any, axes: Axes) -> Iterator[Rows]:
    pieces, levels = [], []
    for level, path in zip(contours.levels, contours.get_paths(), strict=True):
        for piece in path.to_polygons(closed_only=False):
            pieces.append(np.asarray(piece))
            levels.append(np.full(len(piece), level))
    if pieces:
        points = _stacked(pieces)
        yield {
            "kind": "contour",
            "part": _parts(pieces),
            "x": points[:, 0],
            "y": points[:, 1],
            "value": _stacked(levels),
        }


def _scatter_rows(points: Any, axes: Axes) -> Iterator[Rows]:
    places: np.ndarray = np.ma.filled(np.ma.asarray(points.get_offsets(), dtype=float), np.nan)
    if len(places) and all(_in_data(points.get_offset_transform(), axes)):
        plain = {"color": _colours(points.get_facecolor(), len(places))}
        seen = plain if points.get_array() is None else _mapped(points)
        yield {"kind": "points", "x": places[:, 0], "y": places[:, 1], **seen}


def _scatter_3d_rows(points: Any, axes: Axes) -> Iterator[Rows]:
    x, y, z = points._offsets3d
    yield {"kind": "points", "x": x, "y": y, "z": z, "color": _colours(points.get_facecolor(), len(x))}


def _faces_rows(faces: Any, axes: Axes) -> Iterator[Rows]:
    pieces = list(np.asarray(faces._faces))
    x, y, z = np.concatenate(pieces).T
    yield {"kind": "area", "part": _parts(pieces), "x": x, "y": y, "z": z, "color": to_hex(faces.get_facecolor()[0])}


def _mesh_rows(mesh: Any, axes: Axes) -> Iterator[Rows]:
    corners = np.asarray(mesh.get_coordinates())
    centres = (corners[:-1, :-1] + corners[1:, :-1] + corners[:-1, 1:] + corners[1:, 1:]) / 4
    yield {"kind": "cell", "x": centres[..., 0], "y": centres[..., 1], **_mapped(mesh)}


def _mapped(artist: Any) -> Rows:
    """Values that colours stand for, and the colours where they are few and stand for classes."""
    values = artist.get_array()
    if not isinstance(artist.cmap, ListedColormap) or artist.cmap.N > CLASSES:
        return {"value": values}
    seen, place = np.unique(np.ravel(values), return_inverse=True)
    return {"value": values, "color": np.array([to_hex(one) for one in artist.to_rgba(seen, alpha=1)])[place]}


def _image_rows(image: Any, axes: Axes) -> Iterator[Rows]:
    values, (left, right, bottom, top) = image.get_array(), image.get_extent()
    if values.ndim == 3 or image.get_label() == PICTURE:
        box = {"x_low": left, "x_high": right, "y_low": bottom, "y_high": top}
        yield {"kind": "picture", **box, "text": f"{values.shape[0]} rows, {values.shape[1]} columns of pixels"}
        return
    rows, columns = values.shape
    x = left + (np.arange(columns) + 0.5) * ((right - left) / columns)
    first, last = (top, bottom) if image.origin == "upper" else (bottom, top)
    y = first + (np.arange(rows) + 0.5) * ((last - first) / rows)
    yield {"kind": "cell", "x": np.tile(x, rows), "y": np.repeat(y, columns), **_mapped(image)}


def _inlaid_rows(box: Any, axes: Axes) -> Iterator[Rows]:
    x, y = box.xy
    yield {"kind": "picture", "x": x, "y": y}


def _rectangle_rows(box: Any, axes: Axes) -> Iterator[Rows]:
    color = to_hex(box.get_facecolor())
    x_low, y_low, x_high, y_high = box.get_bbox().extents
    across, up = _in_data(box.get_data_transform(), axes)
    sides = ({"x_low": x_low, "x_high": x_high} if across else {}) | ({"y_low": y_low, "y_high": y_high} if up else {})
    if sides and box is not axes.patch:
        yield {
            "kind": "bar" if across and up else "vertical band" if across else "horizontal band",
            **sides,
            "color": color,
        }


def _step_rows(steps: Any, axes: Axes) -> Iterator[Rows]:
    values, edges, _ = steps.get_data()
    along, across = ("x", "y") if steps.orientation == "vertical" else ("y", "x")
    color = to_hex(steps.get_facecolor() if steps.get_fill() else steps.get_edgecolor())
    yield {"kind": "steps", f"{along}_low": edges[:-1], f"{along}_high": edges[1:], across: values, "color": color}


def _area_rows(area: Any, axes: Axes) -> Iterator[Rows]:
    if all(_in_data(area.get_data_transform(), axes)):
        x, y = np.asarray(area.get_path().vertices).T
        yield {"kind": "area", "x": x, "y": y, "color": to_hex(area.get_facecolor())}


def _arrow_rows(arrows: Any, axes: Axes) -> Iterator[Rows]:
    x, y, across, up = (np.ma.asarray(values).ravel() for values in (arrows.X, arrows.Y, arrows.U, arrows.V))
    ends = {"x_low": x, "y_low": y, "x_high": x + across, "y_high": y + up}
    yield {"kind": "arrow", **ends, "color": to_hex(arrows.get_facecolor()[0])}


def text_rows(text: Text, axes: Axes | None = None) -> Iterator[Rows]:
    """The words of a text that is not empty, and where they stand if that is in coordinates of the data."""
    if not (words := joined(text.get_text())):
        return
    place: dict[str, float] = {}
    if isinstance(text, Annotation):
        if text.xycoords == "data":
            place = {"x": text.xy[0], "y": text.xy[1]}
        elif isinstance(text.xycoords, Transform) and axes is not None and _in_data(text.xycoords, axes)[0]:
            place = {"x": text.xy[0]}
    elif axes is not None and all(_in_data(text.get_transform(), axes)):
        place = dict(zip("xy", text.get_position(), strict=True))
    yield {"kind": "text", "text": words, **place}


def legend_rows(legend: Legend, axes: Axes | None = None) -> Iterator[Rows]:
    """The title of a legend and its entries with their colours."""
    yield from text_rows(legend.get_title())
    for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True):
        yield {"kind": "legend", "text": joined(text.get_text()), "color": _handle_colour(handle)}


def _handle_colour(handle: Any) -> str:
    for name in ("get_facecolor", "get_color", "get_edgecolor"):
        if hasattr(handle, name) and len(colours := np.atleast_2d(to_rgba_array(getattr(handle, name)()))):
            return to_hex(colours[0])
    return ""


def _nothing(artist: Any, axes: Axes) -> Iterator[Rows]:
    return iter(())


# The first entry that fits decides, so kinds stand before those they are kinds of.
READERS: tuple[tuple[Any, Callable[[Any, Axes], Iterator[Rows]]], ...] = (
    (BarContainer, _bar_rows),
    (ErrorbarContainer, _error_bar_rows),
    (AxLine, _unbounded_rows),
    (Line3D, _line_3d_rows),
    (Line2D, _line_rows),
    (FillBetweenPolyCollection, _band_rows),
    (LineCollection, _segment_rows),
    (QuadContourSet, _contour_rows),
    (Path3DCollection, _scatter_3d_rows),
    (PathCollection, _scatter_rows),
    (Poly3DCollection, _faces_rows),
    (QuadMesh, _mesh_rows),
    (Quiver, _arrow_rows),
    (AxesImage, _image_rows),
    (AnnotationBbox, _inlaid_rows),
    (Rectangle, _rectangle_rows),
    (StepPatch, _step_rows),
    ((Polygon, PathPatch), _area_rows),
    (Text, text_rows),
    (Legend, legend_rows),
    ((Spine, Axis), _nothing),
)
