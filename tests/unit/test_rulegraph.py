import subprocess
import sys

import networkx as nx
import pytest

from pipeline.rulegraph import draw, layers, main, parse_dot, positions


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


def test_a_cycle_is_refused():
    with pytest.raises(ValueError, match="cycle"):
        layers(nx.DiGraph([("a", "b"), ("b", "a")]))


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


def test_anything_else_is_refused_with_a_sentence(tmp_path, capsys):
    assert main("hello", tmp_path / "a.png") == 1
    assert "expected a rule graph in DOT" in capsys.readouterr().err
    assert not (tmp_path / "a.png").exists()
