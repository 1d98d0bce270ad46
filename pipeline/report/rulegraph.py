"""Draw the rule graph without Graphviz.

    snakemake --rulegraph dot | python -m pipeline.report.rulegraph out.png [inner.png]

The second picture leaves out rules that no other needs, which draw, tabulate and decide.
"""

import re
import sys
import textwrap
from collections.abc import Collection, Mapping, Sequence
from itertools import accumulate, pairwise
from pathlib import Path

import networkx as nx
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path as Curve

# A row of rules is drawn from top to bottom, the rows from left to right: names are wider than high.
RULE_INCHES = 0.46
ROW_INCHES = 2.5
# Shares of these that a box takes.
BOX = (0.86, 0.69)
# Characters of a rule's name that fit in a line of its box.
LINE = 21
BEND_WIDTH = 0.3
ORDERING_SWEEPS = 8


def parse_dot(text: str) -> nx.DiGraph:
    """The graph of rules that Snakemake prints, an edge from each rule to those that need it.

    Raises:
        ValueError: the text holds no rule.
    """
    labels = dict(re.findall(r'^\s*(\d+)\s*\[\s*label\s*=\s*"([^"\\]+)', text, re.M))
    if not labels:
        raise ValueError("expected a rule graph in DOT as `snakemake --rulegraph dot` prints it, found none")
    graph = nx.DiGraph()
    graph.add_nodes_from(labels.values())
    edges = re.findall(r"^\s*(\d+)\s*->\s*(\d+)", text, re.M)
    graph.add_edges_from((labels[a], labels[b]) for a, b in edges if a in labels and b in labels)
    return graph


def layers(graph: nx.DiGraph) -> list[list[str]]:
    """Rules by the length of the longest path to them, each row ordered to let few edges cross.

    Raises:
        ValueError: the graph has a cycle.
    """
    if not nx.is_directed_acyclic_graph(graph):
        raise ValueError("a rule graph must not have a cycle")
    rows = [sorted(row) for row in nx.topological_generations(graph)]
    for sweep in range(ORDERING_SWEEPS):
        down = sweep % 2 == 0
        neighbours = graph.predecessors if down else graph.successors
        for row in rows if down else reversed(rows):
            place = positions(rows)
            centers = {rule: [place[other][0] for other in neighbours(rule)] or [place[rule][0]] for rule in row}
            row.sort(key=lambda rule, centers=centers: (sum(centers[rule]) / len(centers[rule]), rule))  # type: ignore[misc]
    return rows


def positions(rows: Sequence[Sequence[str]], bends: Collection[str] = ()) -> Mapping[str, tuple[float, float]]:
    """Centre of each rule, rows centred on each other, in columns and rows; bends take less of a column."""
    place: dict[str, tuple[float, float]] = {}
    for y, row in enumerate(rows):
        widths = [BEND_WIDTH if rule in bends else 1.0 for rule in row]
        ends = list(accumulate(widths))
        place |= {rule: (end - (width + ends[-1]) / 2, -y) for rule, width, end in zip(row, widths, ends, strict=True)}
    return place


def routed(graph: nx.DiGraph) -> tuple[nx.DiGraph, dict[tuple[str, str], list[str]]]:
    """The graph with a bend in every row that an edge crosses, and the bends of each edge.

    Bends take part in ordering the rows, so that no edge runs behind the box of another rule. Edges that
    others imply are left out.

    Raises:
        ValueError: the graph has a cycle.
    """
    row_of = {rule: y for y, row in enumerate(layers(graph)) for rule in row}
    result = nx.DiGraph()
    result.add_nodes_from(graph)
    bends = {}
    # Sorted, because sets of names come in another order in every process.
    for start, end in sorted(nx.transitive_reduction(graph).edges):
        # Names of rules hold no blanks.
        bends[start, end] = [f"{start} to {end} {y}" for y in range(row_of[start] + 1, row_of[end])]
        nx.add_path(result, [start, *bends[start, end], end])
    return result, bends


def draw(graph: nx.DiGraph, output: Path) -> None:
    """Write the picture as PNG; equal graphs give equal bytes.

    Raises:
        ValueError: the graph has a cycle or no rule.
    """
    if not graph:
        raise ValueError("expected a rule besides `all`, found none")
    whole, bends = routed(graph)
    rows = layers(whole)
    place = positions(rows, set(whole) - set(graph))
    height = 2 * max(abs(x) + (0.5 if rule in graph else BEND_WIDTH / 2) for rule, (x, _) in place.items())
    shown = {rule: (-y, -x) for rule, (x, y) in place.items()}
    figure = Figure(figsize=(len(rows) * ROW_INCHES, max(1.0, height * RULE_INCHES)), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-0.5, len(rows) - 0.5), ylim=(-height / 2, height / 2))
    axes.axis("off")
    for (start, end), between in bends.items():
        axes.add_patch(
            FancyArrowPatch(
                path=_curve([shown[rule] for rule in (start, *between, end)]),
                arrowstyle="-|>",
                mutation_scale=10,
                color="0.55",
                linewidth=0.9,
                shrinkA=0,
                shrinkB=0,
                zorder=1,
            )
        )
    thick, long = BOX
    for rule in graph:
        x, y = shown[rule]
        style = "round,pad=0,rounding_size=0.1"
        box = FancyBboxPatch((x - long / 2, y - thick / 2), long, thick, boxstyle=style)
        box.set(facecolor="#DCEAF5", edgecolor="#0072B2", zorder=2)
        axes.add_patch(box)
        axes.text(x, y, _wrapped(rule), ha="center", va="center", fontsize=9, zorder=3)
    figure.savefig(output, metadata={"Software": None})


def _curve(points: Sequence[tuple[float, float]]) -> Curve:
    """Straight on within rows, and from row to row a curve that leaves and arrives going right."""
    half = BOX[1] / 2
    vertices, codes = [(points[0][0] + half, points[0][1])], [Curve.MOVETO]
    for (x0, y0), (x1, y1) in pairwise(points):
        before, after = x0 + half, x1 - half
        middle = (before + after) / 2
        vertices += [(before, y0), (middle, y0), (middle, y1), (after, y1)]
        codes += [Curve.LINETO, *3 * [Curve.CURVE4]]
    return Curve(vertices, codes)


def _wrapped(rule: str) -> str:
    return textwrap.fill(rule.replace("_", " "), LINE, break_long_words=False)


def inner(graph: nx.DiGraph) -> nx.DiGraph:
    """The graph of the rules that another one needs."""
    return graph.subgraph([rule for rule in graph if graph.out_degree(rule)]).copy()


def main(text: str, output: Path, output_inner: Path | None = None) -> int:
    """Draw DOT text without the rule `all`; the exit status."""
    try:
        graph = parse_dot(text)
        graph.remove_nodes_from(["all"])
        draw(graph, output)
        if output_inner is not None:
            draw(inner(graph), output_inner)
    except (ValueError, OSError) as error:
        print(f"rule graph: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: snakemake --rulegraph dot | python -m pipeline.report.rulegraph OUTPUT.png [INNER.png]")
    sys.exit(main(sys.stdin.buffer.read().decode(errors="replace"), *map(Path, sys.argv[1:])))
