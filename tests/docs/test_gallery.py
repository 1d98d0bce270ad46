"""The gallery shows the figures of a run, small enough to lie in the repository."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from pipeline.report.gallery import WIDTH, GalleryError, write_gallery
from tests.docs.pages import ROOT, read

CATALOGUE = {
    "bell/wide": {"plot": "skewness", "dataset": "mnist5k", "model": "net", "attack": "pgd"},
    "mine/small": {"plot": "kernel_agreement", "network": "mine"},
    "bell/missing": {"plot": "norms"},
}


@pytest.fixture
def run(tmp_path):
    results = tmp_path / "results"
    generator = np.random.default_rng(0)
    for name, shape in (("bell/wide", (300, 2000, 4)), ("mine/small", (40, 30, 3))):
        path = results / "figures" / f"{name}.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(generator.integers(0, 256, shape, dtype=np.uint8)).save(path)
    config = {"artefacts": [*CATALOGUE, "bell/table1"], "figures": {"catalogue": CATALOGUE}}
    (results / "provenance.json").write_text(json.dumps({"config": config, "code": {"commit": "0123456789abcdef"}}))
    return results


def test_figures_of_a_run_are_shown_with_what_they_are_of(run, tmp_path):
    docs = tmp_path / "docs"
    assert write_gallery(run, docs) == ["bell/wide", "mine/small"]
    page = (docs / "gallery.md").read_text()
    assert page.index("### bell/wide") < page.index("## Figures of your own") < page.index("### mine/small")
    assert "0123456789ab" in page
    assert "Plot `skewness`: dataset `mnist5k`, model `net`, attack `pgd`." in page
    assert "missing" not in page
    assert "{{" not in page
    sizes = {path.name: Image.open(path).size for path in (docs / "gallery").iterdir()}
    assert sizes == {"bell_wide.png": (WIDTH, 300 * WIDTH // 2000), "mine_small.png": (30, 40)}
    before = {path.name: path.read_bytes() for path in (docs / "gallery").iterdir()}
    write_gallery(run, docs)
    assert before == {path.name: path.read_bytes() for path in (docs / "gallery").iterdir()}


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        ("provenance.json", "{}", "expected the record of a finished run"),
        ("provenance.json", "[]", "expected the record of a finished run"),
        ("figures/bell/wide.png", "no picture", "expected a picture"),
    ],
)
def test_a_run_that_does_not_fit_gets_a_sentence(run, tmp_path, file, content, sentence):
    (run / file).write_text(content)
    with pytest.raises(GalleryError, match=sentence):
        write_gallery(run, tmp_path / "docs")


def test_a_run_without_figures_gets_a_sentence(run, tmp_path):
    for path in (run / "figures").rglob("*.png"):
        path.unlink()
    with pytest.raises(GalleryError, match="found none"):
        write_gallery(run, tmp_path / "docs")


def test_the_gallery_of_the_repository_is_whole_and_small():
    shown = set(re.findall(r"\]\(gallery/([\w.-]+)\)", read("docs/gallery.md")))
    there = {path.name: path.stat().st_size for path in (ROOT / "docs" / "gallery").glob("*.png")}
    assert shown | {"rulegraph.png"} == set(there)
    assert sum(there.values()) < 6e6
