"""What a Python file does and imports, parsed once for each content.

Parsing the project takes two seconds, and every process of Snakemake needs it. `keep_in` names a folder where what was
parsed is kept. An entry counts only for the exact bytes of the file, of this module and for this Python, and only when
it is whole, so that it holds what parsing would give; without it, or where it cannot be written, files are parsed.
"""

import ast
import contextlib
import hashlib
import json
import os
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_folder: Path | None = None


@dataclass(frozen=True)
class ParsedCode:
    """What of a Python file can decide a result.

    Args:
        essence: its code without comments, docstrings and layout.
        imports: of each imported name the level (0: absolute), the module it comes from, and the name, or None
            where the module itself is imported.
    """

    essence: str
    imports: tuple[tuple[int, str, str | None], ...]


def keep_in(folder: Path) -> None:
    """Keep what is parsed from now on in a folder, for other processes; it need not exist."""
    global _folder
    _folder = folder


@cache
def parsed_code(path: Path) -> ParsedCode:
    """Parsed code of a file, read once in a process.

    Raises:
        OSError: the file cannot be read.
        SyntaxError: it is not valid Python.
    """
    source = path.read_bytes()
    if _folder is None:
        return _parse(source, path)
    entry = _folder / hashlib.blake2b(os.fsencode(path), digest_size=16).hexdigest()
    key = hashlib.blake2b(_reader() + source).digest()
    found = _kept(entry, key)
    if found is None:
        found = _parse(source, path)
        _keep(entry, key, found)
    return found


def _parse(source: bytes, path: Path) -> ParsedCode:
    tree = ast.parse(source, filename=str(path))
    imports: list[tuple[int, str, str | None]] = []
    for node in ast.walk(tree):
        match node:
            case ast.Import(names):
                imports += [(0, alias.name, None) for alias in names]
            case ast.ImportFrom(module, names, level):
                imports += [(level, module or "", alias.name) for alias in names]
            case ast.Module() | ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                if node.body and _is_docstring(node.body[0]):
                    node.body = node.body[1:] or [ast.Pass()]
    return ParsedCode(ast.unparse(tree), tuple(dict.fromkeys(imports)))


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


@cache
def _reader() -> bytes:
    """What else decides how a source is parsed, besides its bytes."""
    return Path(__file__).read_bytes() + sys.version.encode() + b"\0"


def _kept(entry: Path, key: bytes) -> ParsedCode | None:
    try:
        checksum, body = entry.read_bytes().split(b"\n", 1)
    except (OSError, ValueError):
        return None
    if checksum != _checksum(key, body):
        return None
    kept = json.loads(body)
    return ParsedCode(kept["essence"], tuple((level, module, name) for level, module, name in kept["imports"]))


def _keep(entry: Path, key: bytes, parsed: ParsedCode) -> None:
    body = json.dumps({"essence": parsed.essence, "imports": parsed.imports}).encode()
    whole = entry.with_name(f"{entry.name}.{os.getpid()}")
    # Jobs may run where this folder is full or read-only, and parse anew.
    with contextlib.suppress(OSError):
        entry.parent.mkdir(parents=True, exist_ok=True)
        try:
            whole.write_bytes(_checksum(key, body) + b"\n" + body)
            whole.replace(entry)
        finally:
            whole.unlink(missing_ok=True)


def _checksum(key: bytes, body: bytes) -> bytes:
    return hashlib.blake2b(key + body).hexdigest().encode()
