import os
import re
import subprocess
import sys
from pathlib import Path

import networkx as nx
import pytest

from pipeline.report.rulegraph import BOX, _wrapped, draw, inner, layers, main, parse_dot, positions, routed


def test_layers_follow_the_longest_path():
    graph = nx.DiGraph([("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("a", "d"), ("d", "e")])
    assert layers(graph) == [["a"], ["b", "c"], ["d"], ["e"]]


def test_rows_are_ordered_so_that_edges_do_not_cross():
    graph = nx.DiGraph([("a", "z"), ("b", "y"), ("c", "x")])
    first, second = layers(graph)
    pairs = dict(list(graph.edges))
    assert [pairs[rule] for rule in first] == second


def test_rows_are_centred():
    place = positions([["a"], ["b", "c"]])
    assert place["a"] == (0, 0)
    assert place["b"][0] == -place["c"][0]


def test_a_cycle_is_refused(tmp_path, capsys):
    with pytest.raises(ValueError, match="cycle"):
        layers(nx.DiGraph([("a", "b"), ("b", "a")]))
    assert main('0[label = "a"];\n1[label = "b"];\n0 -> 1\n1 -> 0', tmp_path / "a.png") == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_chains_and_diamonds_have_the_layers_they_should():
    assert layers(nx.DiGraph([("c", "b"), ("b", "a")])) == [["c"], ["b"], ["a"]]
    assert layers(nx.DiGraph([("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")])) == [["a"], ["b", "c"], ["d"]]


def test_an_edge_has_a_bend_of_its_own_in_every_row_it_crosses():
    # Nothing implies c -> f, which crosses the rows of d and e.
    graph = nx.DiGraph([("a", "b"), ("a", "c"), ("b", "d"), ("d", "e"), ("e", "f"), ("c", "f"), ("a", "f")])
    whole, bends = routed(graph)
    assert ("a", "f") not in bends
    assert len(bends["c", "f"]) == 2
    rows = layers(whole)
    assert all(abs(y0 - y1) == 1 for y0, y1 in ((row_of(rows, a), row_of(rows, b)) for a, b in whole.edges))
    place = positions(rows, set(whole) - set(graph))
    for bend in bends["c", "f"]:
        y = row_of(rows, bend)
        gaps = [abs(place[bend][0] - place[rule][0]) for rule in rows[y] if rule in graph]
        assert min(gaps) > BOX[0] / 2


def row_of(rows, rule):
    return next(y for y, row in enumerate(rows) if rule in row)


def test_forty_rules_give_the_same_bytes_in_every_process(tmp_path):
    # Each hash seed gives sets of names another order.
    edges = [(i // 2, i) for i in range(1, 40)] + [(i, i + 13) for i in range(1, 27, 4)]
    nodes = "\n".join(f'{i}[label = "rule_{i}"];' for i in range(40))
    text = "\n".join([nodes, *(f"{start} -> {end}" for start, end in edges)])
    command = [sys.executable, "-m", "pipeline.report.rulegraph"]
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run([*command, tmp_path / f"{seed}.png"], input=text, text=True, check=True, env=environment)
    assert (tmp_path / "1.png").read_bytes() == (tmp_path / "2.png").read_bytes()


def test_the_graph_of_the_workflow_is_read_and_drawn(tmp_path):
    run = subprocess.run(
        [sys.executable, "-m", "snakemake", "--rulegraph", "dot"], capture_output=True, text=True, check=True
    )
    graph = parse_dot(run.stdout)
    assert ("train", "attack") in graph.edges
    assert ("attack", "bracket_persistence") in graph.edges
    assert nx.has_path(graph, "fetch_mnist5k", "draw_persistence_histogram")
    assert main(run.stdout, tmp_path / "a.png") == 0
    graph.remove_node("all")
    draw(graph, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_the_inner_graph_leaves_out_what_nothing_needs():
    graph = inner(nx.DiGraph([("a", "b"), ("b", "c"), ("a", "d")]))
    assert list(graph.edges) == [("a", "b")]


def test_anything_else_is_refused_with_a_sentence(tmp_path, capsys):
    assert main('0[label = "all"];', tmp_path / "a.png") == 1
    assert "besides `all`" in capsys.readouterr().err
    assert main("hello", tmp_path / "a.png") == 1
    assert "expected a rule graph in DOT" in capsys.readouterr().err
    command = [sys.executable, "-m", "pipeline.report.rulegraph"]
    for arguments in ([], [tmp_path / "a.png"]):
        run = subprocess.run([*command, *arguments], input=b"\xff\x00", capture_output=True)
        assert run.returncode == 1
        assert run.stderr.count(b"\n") == 1
    assert not (tmp_path / "a.png").exists()


def test_names_of_rules_fit_their_boxes():
    text = (Path(__file__).resolve().parents[2] / "rules").glob("*.smk")
    rules = [name for path in text for name in re.findall(r"^rule (\w+):", path.read_text(), re.M)]
    assert "draw_class_frequencies_by_target" in rules
    # A box is 1.72 inches wide and 0.4 high: a letter of 9 points is 0.08 wide on average, a line 0.15 high.
    for rule in rules:
        lines = _wrapped(rule).split("\n")
        assert len(lines) <= 2
        assert max(map(len, lines)) <= 21
