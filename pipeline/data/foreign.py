"""HDF5 files that somebody brings, read by a process of its own: `python -m pipeline.data.foreign` is that process.

Such a file has no digest that could be checked first, and a damaged or made-up one can crash libhdf5, keep it busy for
ever or make it ask for any amount of memory. Only the other process, whose memory and time are limited, meets libhdf5;
it hands back plain numbers. It follows no links and reads no other files, which an HDF5 file could name.
"""

import contextlib
import io
import json
import math
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np
import psutil

from pipeline.store import StoreError

ROOT = Path(__file__).resolve().parents[2]
# More than deflate can do (1032).
MOST_TIMES_SMALLER = 1100
MOST_TEXTS = 100_000
MOST_DATASETS = 100_000
LISTED = 40
# What opening a file and finding its datasets may take, and how fast these must then come.
SECONDS = 30
BYTES_A_SECOND = 1 << 20
SPARE_BYTES = 1 << 30


@dataclass(frozen=True)
class Wanted:
    """What to read of a file: arrays that must be there, a list of texts that may be, all arrays below a group.

    Of arrays in `shapes` nothing but the shape comes back, as whole numbers.
    """

    arrays: Sequence[str] = ()
    shapes: Sequence[str] = ()
    texts: str | None = None
    group: str | None = None


class _ForeignError(Exception):
    """What is wrong with a file, in the words of a sentence about it."""


def read_foreign(path: str | Path, wanted: Wanted) -> dict[str, np.ndarray]:
    """Arrays of numbers by name, those of a group by their name within it, and texts as `str`.

    Raises:
        StoreError: the file is missing, damaged or not HDF5; a part is missing, empty, of another kind, larger than the
            file or the free memory can hold, or lies outside the file.
    """
    command = [sys.executable, "-m", "pipeline.data.foreign", os.path.abspath(path), json.dumps(asdict(wanted))]
    child = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert isinstance(child.stdout, io.BufferedReader)
    try:
        with child.stdout as stream:
            arrays, problem = receive(stream)
    finally:
        child.kill()
        status = child.wait()
    if problem is not None or arrays is None:
        raise StoreError(f"{path}: {problem or ended_early(status)}")
    return arrays


def ended_early(status: int) -> str:
    """The end of a sentence about a file whose reader ended without a word, by its exit status."""
    if status == -signal.SIGXCPU:
        return "not a readable HDF5 file, reading it took too long"
    return f"not a readable HDF5 file, so damaged that reading it failed (status {status})"


def receive(stream: io.BufferedReader) -> tuple[dict[str, np.ndarray] | None, str | None]:
    """What `send` wrote: the arrays, or the problem; neither when the stream ends early."""
    arrays: dict[str, np.ndarray] = {}
    while (line := stream.readline()).endswith(b"\n"):
        message = json.loads(line)
        if "problem" in message:
            return None, message["problem"]
        if "texts" in message:
            arrays[message["name"]] = np.array(message["texts"], dtype=np.str_)
        elif "name" in message:
            array = np.empty(message["shape"], np.dtype(message["dtype"]))
            if array.nbytes and stream.readinto(_bytes(array)) != array.nbytes:
                return None, None
            arrays[message["name"]] = array
        else:
            return arrays, None
    return None, None


def send(path: str, wanted: Wanted, stream: BinaryIO) -> None:
    """Read a file within limits of memory and time, and write what is wanted of it, or what is wrong with it."""
    try:
        if not os.path.isfile(path):
            raise _ForeignError("no such file")
        _limit(SPARE_BYTES, SECONDS)
        with h5py.File(path, "r", locking=False) as file:
            datasets = list(_datasets(file, wanted))
            size, most = os.path.getsize(path), psutil.virtual_memory().available // 2
            declared = {name: _declared(name, dataset, size) for name, dataset in datasets}
            total = sum(declared[name] for name in declared if name not in wanted.shapes)
            if total > most:
                raise _ForeignError(f"its arrays take {total:,} bytes, and {most:,} can be spared in memory")
            _limit(SPARE_BYTES + 3 * total, SECONDS + total // BYTES_A_SECOND)
            for name, dataset in datasets:
                array = (
                    np.array(dataset.shape, np.int64) if name in wanted.shapes else np.asarray(dataset[()], order="C")
                )
                _write_line(stream, name=name, shape=array.shape, dtype=array.dtype.str)
                stream.write(_bytes(array))
            if wanted.texts is not None and wanted.texts in file:
                _write_line(stream, name=wanted.texts, texts=_texts(_own(file, wanted.texts), wanted.texts))
        _write_line(stream)
    except _ForeignError as error:
        _write_line(stream, problem=str(error))
    # Whatever libhdf5 and its wrapper find wrong.
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        _write_line(stream, problem=f"not a readable HDF5 file, truncated or damaged ({reason})")


def _bytes(array: np.ndarray) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _write_line(stream: BinaryIO, **message: Any) -> None:
    stream.write(json.dumps(message).encode() + b"\n")
    stream.flush()


def _limit(more_bytes: int, seconds: int) -> None:
    """Bound the address space by what is in use and the seconds of processor time by those spent."""
    with contextlib.suppress(ValueError, OSError):
        most = psutil.Process().memory_info().vms + more_bytes
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))
    with contextlib.suppress(ValueError, OSError):
        spent = math.ceil(sum(os.times()[:2]))
        resource.setrlimit(resource.RLIMIT_CPU, (spent + seconds, resource.getrlimit(resource.RLIMIT_CPU)[1]))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _datasets(file: h5py.File, wanted: Wanted) -> Iterator[tuple[str, h5py.Dataset]]:
    for name in (*wanted.arrays, *wanted.shapes):
        yield name, _own(file, name)
    if wanted.group is None:
        return
    group = file.get(wanted.group) if isinstance(file.get(wanted.group, getlink=True), h5py.HardLink) else None
    if not isinstance(group, h5py.Group):
        raise _ForeignError(f"group '{wanted.group}' is missing{_present(file)}")
    found: list[tuple[str, h5py.Dataset]] = []

    # Follows no soft and no external links, and meets every object once. A value ends the visit.
    def visit(name: str, item: Any) -> bool | None:
        if isinstance(item, h5py.Dataset):
            found.append((name, item))
        return len(found) > MOST_DATASETS or None

    if group.visititems(visit):
        raise _ForeignError(f"group '{wanted.group}' holds more than {MOST_DATASETS:,} datasets")
    yield from sorted(found, key=lambda pair: pair[0])


def _own(file: h5py.File, name: str) -> h5py.Dataset:
    link = file.get(name, getlink=True)
    if isinstance(link, (h5py.SoftLink, h5py.ExternalLink)):
        raise _ForeignError(f"'{name}' must be a dataset of this file, found a link")
    if not isinstance(dataset := file.get(name), h5py.Dataset):
        raise _ForeignError(f"dataset '{name}' is missing{_present(file)}")
    return dataset


def _declared(name: str, dataset: h5py.Dataset, file_bytes: int) -> int:
    """Bytes of a dataset in memory, if it can be what it says."""
    if dataset.external or dataset.is_virtual:
        raise _ForeignError(f"dataset '{name}' lies in other files, which are not read")
    if dataset.shape is None or 0 in dataset.shape:
        raise _ForeignError(f"dataset '{name}' is empty")
    if dataset.dtype.kind not in "biuf":
        raise _ForeignError(f"dataset '{name}' must hold numbers, found {dataset.dtype}")
    declared = math.prod(dataset.shape) * dataset.dtype.itemsize
    chunk = math.prod(dataset.chunks or ()) * dataset.dtype.itemsize
    if max(declared, chunk) > MOST_TIMES_SMALLER * file_bytes:
        raise _ForeignError(
            f"dataset '{name}' is said to be of shape {dataset.shape}, which a file of {file_bytes:,} bytes cannot hold"
        )
    return declared


def _texts(dataset: h5py.Dataset, name: str) -> list[str]:
    if h5py.check_string_dtype(dataset.dtype) is None or dataset.ndim != 1 or dataset.external or dataset.is_virtual:
        raise _ForeignError(f"dataset '{name}' must be a list of texts, found {dataset.dtype} of shape {dataset.shape}")
    if len(dataset) > MOST_TEXTS:
        raise _ForeignError(f"dataset '{name}' must hold at most {MOST_TEXTS:,} texts, found {len(dataset):,}")
    return [str(text) for text in dataset.asstr()[()]]


def _present(file: h5py.File) -> str:
    names = []
    for name in file:
        names.append(name)
        if len(names) == LISTED:
            break
    return f" (the file holds: {', '.join(sorted(names)) or 'nothing'})"


if __name__ == "__main__":
    send(sys.argv[1], Wanted(**json.loads(sys.argv[2])), sys.stdout.buffer)
