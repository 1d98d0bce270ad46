from pathlib import Path

import pytest

from pipeline.provenance.digest import code_digest, imported_files

FILES = {
    "scripts/stage/run.py": "from neighborhoods.persistence import f\nimport numpy\n",
    "neighborhoods/__init__.py": '"""Lazy."""\nfrom importlib import import_module\n',
    "neighborhoods/persistence.py": '"""Doc."""\nfrom . import statistics\n\ndef f():\n    """What."""\n    return 1  # one\n',
    "neighborhoods/statistics.py": "def mean(x):\n    import pipeline.deep.inner\n    return x\n",
    "neighborhoods/other.py": "x = 1\n",
    "pipeline/__init__.py": "",
    "pipeline/deep/__init__.py": "",
    "pipeline/deep/inner.py": "y = 2\n",
}


@pytest.fixture
def project(tmp_path: Path):
    def build(changes=None):
        root = tmp_path / f"p{len(list(tmp_path.iterdir()))}"
        for name, text in {**FILES, **(changes or {})}.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return root

    return build


def digest(root: Path, extra=()) -> str:
    return code_digest(root, root / "scripts/stage/run.py", tuple(root / name for name in extra))


def test_imports_are_followed_wherever_they_stand(project):
    root = project()
    found = [str(path.relative_to(root)) for path in imported_files(root, root / "scripts/stage/run.py")]
    assert found == [
        "neighborhoods/persistence.py",
        "neighborhoods/statistics.py",
        "pipeline/deep/inner.py",
        "scripts/stage/run.py",
    ]


def test_another_folder_gives_the_same_digest(project):
    assert digest(project()) == digest(project())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("neighborhoods/persistence.py", "from . import statistics\ndef f():\n\n    return (1)\n"),
        (
            "neighborhoods/persistence.py",
            '"""Other."""\nfrom . import statistics  # why\ndef f():\n    "That."\n    return 1\n',
        ),
        ("neighborhoods/other.py", "x = 2\n"),
        ("neighborhoods/__init__.py", "__version__ = '2'\n"),
        ("scripts/stage/run.py", "# a comment\n" + FILES["scripts/stage/run.py"]),
    ],
)
def test_what_cannot_change_a_result_changes_no_digest(project, name, text):
    assert digest(project({name: text})) == digest(project())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("neighborhoods/persistence.py", "from . import statistics\ndef f():\n    return 2\n"),
        ("neighborhoods/statistics.py", FILES["neighborhoods/statistics.py"].replace("return x", "return -x")),
        ("pipeline/deep/inner.py", "y = 3\n"),
        ("scripts/stage/run.py", FILES["scripts/stage/run.py"] + "f()\n"),
    ],
)
def test_what_can_change_a_result_changes_the_digest(project, name, text):
    assert digest(project({name: text})) != digest(project())


def test_a_package_stands_for_all_its_modules(project):
    script = {"scripts/stage/run.py": "import neighborhoods as nb\nnb.f()\n"}
    assert digest(project({**script, "neighborhoods/other.py": "x = 2\n"})) != digest(project(script))


def test_extra_files_count_by_code_or_by_bytes(project):
    changed = {"neighborhoods/other.py": "x = 1  # same\n"}
    assert digest(project(changed), ["neighborhoods/other.py"]) == digest(project(), ["neighborhoods/other.py"])
    style = {"a.mplstyle": "font.size: 8\n"}
    other = {"a.mplstyle": "font.size: 9\n"}
    assert digest(project(style), ["a.mplstyle"]) != digest(project(other), ["a.mplstyle"])
