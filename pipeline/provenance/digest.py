"""Digests of code: equal while the code does the same, whatever its comments, docstrings and layout.

Snakemake's own `code` trigger sees neither an imported module nor the difference between a comment and a
change. The digest of a script covers its parsed code and that of every project module it imports,
directly or not, and stands in the `spec` that decides whether a job runs again.
"""

import hashlib
from functools import cache
from pathlib import Path

from pipeline.provenance.parsed_code import parsed_code

PACKAGES = ("neighborhoods", "pipeline")


def code_digest(root: Path, script: Path, extra: tuple[Path, ...] = ()) -> str:
    """Hexadecimal digest of a script and everything of the project that it imports.

    Args:
        root: folder that holds the project's packages.
        script: Python file the job runs.
        extra: other files that decide the result: Python files count by their parsed code, others by
            their bytes.

    Raises:
        OSError: a file cannot be read.
        SyntaxError: a file is not valid Python.
    """
    digest = _digest_of_imported(root, script).copy()
    for path in extra:
        digest.update(f"{path.name}\0".encode())
        digest.update(parsed_code(path).essence.encode() if path.suffix == ".py" else path.read_bytes())
    return digest.hexdigest()


@cache
def _digest_of_imported(root: Path, script: Path) -> hashlib.blake2b:
    digest = hashlib.blake2b(digest_size=8)
    for path in imported_files(root, script):
        # Relative names: a digest must not depend on where the checkout lies.
        digest.update(f"{path.relative_to(root)}\0{parsed_code(path).essence}\0".encode())
    return digest


def imported_files(root: Path, script: Path) -> list[Path]:
    """The script and the project modules it imports, directly or not, sorted."""
    root = root.resolve()
    found: set[Path] = set()
    pending = [script.resolve()]
    while pending:
        path = pending.pop()
        if path in found:
            continue
        found.add(path)
        for module in _imports(path, root):
            pending.extend(_files(root, module))
    return sorted(found)


@cache
def _imports(path: Path, root: Path) -> frozenset[str]:
    """Dotted names of the project modules that a file names in its imports, wherever they stand."""
    names: set[str] = set()
    for level, module, name in parsed_code(path).imports:
        base = module
        if level:
            parts = path.relative_to(root).with_suffix("").parts[:-level]
            base = ".".join([*parts, module] if module else parts)
        # Only the project's own are looked for among the files.
        if base.split(".")[0] in PACKAGES:
            inner = f"{base}.{name}"
            names.add(inner if name and _module_file(root, inner) else base)
    return frozenset(names)


@cache
def _module_file(root: Path, module: str) -> Path | None:
    stem = root.joinpath(*module.split("."))
    for path in (stem.with_suffix(".py"), stem / "__init__.py"):
        if path.is_file():
            return path
    return None


@cache
def _files(root: Path, module: str) -> tuple[Path, ...]:
    """Files that a module stands for: its own, or all of a package whose lazy attributes may reach any.

    The `__init__.py` around a module does not count: those files only name things (a test holds them to it),
    and a new name must not rerun everything.
    """
    package = root.joinpath(*module.split("."))
    files = package.rglob("*.py") if package.is_dir() else filter(None, [_module_file(root, module)])
    return tuple(path.resolve() for path in files)
