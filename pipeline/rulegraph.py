"""Draw the rule graph without Graphviz: `snakemake --rulegraph dot | python -m pipeline.rulegraph out.png`."""

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import networkx as nx
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

COLUMN_INCHES = 2.0
ROW_INCHES = 0.8
BOX = (0.86, 0.5)
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


def positions(rows: Sequence[Sequence[str]]) -> Mapping[str, tuple[float, float]]:
    """Centre of each rule, rows centred on each other, in columns and rows."""
    return {rule: (i - (len(row) - 1) / 2, -y) for y, row in enumerate(rows) for i, rule in enumerate(row)}


def draw(graph: nx.DiGraph, output: Path) -> None:
    """Write the picture as PNG; equal graphs give equal bytes. Edges that others imply are left out."""
    rows = layers(graph)
    place = positions(rows)
    width = max(map(len, rows))
    figure = Figure(figsize=(max(3.5, width * COLUMN_INCHES), len(rows) * ROW_INCHES), dpi=150)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-width / 2, width / 2), ylim=(-len(rows) + 0.4, 0.6))
    axes.axis("off")
    for start, end in nx.transitive_reduction(graph).edges:
        (x0, y0), (x1, y1) = place[start], place[end]
        arrow = {"arrowstyle": "-|>", "color": "0.55", "linewidth": 0.9, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", (x1, y1 + BOX[1] / 2), (x0, y0 - BOX[1] / 2), arrowprops=arrow, zorder=1)
    for rule, (x, y) in place.items():
        corner = (x - BOX[0] / 2, y - BOX[1] / 2)
        style = "round,pad=0,rounding_size=0.1"
        axes.add_patch(FancyBboxPatch(corner, *BOX, boxstyle=style, facecolor="#DCEAF5", edgecolor="#0072B2", zorder=2))
        axes.text(x, y, _wrapped(rule), ha="center", va="center", fontsize=9, zorder=3)
    figure.savefig(output, metadata={"Software": None})


def _wrapped(rule: str) -> str:
    words, lines = rule.split("_"), [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + len(word) > 17:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


def main(text: str, output: Path) -> int:
    """Draw DOT text without the rule `all`; the exit status."""
    try:
        graph = parse_dot(text)
        graph.remove_nodes_from(["all"])
        draw(graph, output)
    except (ValueError, OSError) as error:
        print(f"rule graph: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.stdin.read(), Path(sys.argv[1])))
