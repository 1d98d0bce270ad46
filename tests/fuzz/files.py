"""Targets that read files: results, files of one's own, weights, photos, downloads and states of long jobs."""

import gzip
import hashlib
import io
import os
import pickle
import tarfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image

from pipeline.data import foreign
from pipeline.data.cifar import ARCHIVES, read_archive
from pipeline.data.download import DownloadError, unpack
from pipeline.data.idx import parse_idx
from pipeline.data.photos import PhotoError, decode
from pipeline.errors import UserError
from pipeline.running.resume import Progress
from pipeline.store import Provenance, StoreError, reading, seal, verify, writing
from tests.fuzz.harness import CleanError, Target
from tests.fuzz.mutations import damaged


class ForkedReader:
    """Stands for the process that `read_foreign` starts: a fork, since a start costs more than the reading."""

    def __init__(self, command: list[str], **options: Any) -> None:
        wanted = foreign.Wanted(**foreign.json.loads(command[-1]))
        read, write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(read)
            with os.fdopen(write, "wb") as stream:
                foreign.send(command[-2], wanted, stream)
            os._exit(0)
        os.close(write)
        self.stdout = os.fdopen(read, "rb")

    def kill(self) -> None:
        os.kill(self.pid, 9)

    def wait(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def own_files(folder: Path) -> list[bytes]:
    """Result files of several kinds."""
    generator = np.random.default_rng(0)
    contents = []
    for size in (0, 3, 40):
        path = folder / f"own{size}.h5"
        with writing(path, Provenance({"seed": 1})) as file:
            file.put("x", generator.random((size, 30, 30)), "numbers", ("image", "row", "column"))
            file.put("group/deeper/status", ["ok", "größer"], "texts", ("image",))
            file.put("scalar", 3, "a count", ())
            file.attribute("network", {"hidden": [1, 2]})
            for i in range(size):
                file.put(f"weights/{i}", generator.random(3), "a weight", ("axis0",))
        contents.append(path.read_bytes())
    return contents


def read_own(prepared: Any, folder: Path, generator: np.random.Generator) -> None:
    """A damaged result file; whatever differs from what was written must be refused."""
    content = prepared[generator.integers(len(prepared))]
    changed = damaged(content, generator, prepared)
    path = folder / "input.h5"
    path.write_bytes(changed)
    try:
        with reading(path) as file:
            for name in file.names():
                file.read(name)
    except StoreError as error:
        raise CleanError(error) from error
    assert changed in prepared, "a damaged file was accepted"


def read_forged(prepared: Any, folder: Path, generator: np.random.Generator) -> None:
    """A damaged model file whose digest somebody made anew, taken as weights."""
    content = prepared[generator.integers(len(prepared))]
    path = folder / "input.h5"
    path.write_bytes((content[:512] + damaged(content[512:], generator, prepared)).ljust(513))
    seal(path)
    _isolated(path, foreign.Wanted(group="weights"))


def foreign_files(folder: Path) -> list[bytes]:
    """Datasets as people write them, by several features of HDF5."""
    generator = np.random.default_rng(0)
    arrays = {
        "x_train": generator.integers(0, 256, (20, 8, 6), np.uint8),
        "y_train": np.arange(20) % 3,
        "x_test": generator.integers(0, 256, (6, 8, 6), np.uint8),
        "y_test": np.arange(6) % 3,
    }
    contents = []
    kinds: list[tuple[dict, dict]] = [
        ({}, {}),
        ({"libver": "latest"}, {"compression": "gzip", "shuffle": True, "fletcher32": True}),
        ({"userblock_size": 1024}, {"chunks": True, "compression": "lzf", "maxshape": None}),
        ({"libver": ("v110", "v112"), "fs_strategy": "page"}, {"chunks": True, "scaleoffset": 0}),
        (
            {"track_order": True},
            {"chunks": True, "compression": "szip", "compression_opts": ("nn", 4)} if h5py.h5z.filter_avail(4) else {},
        ),
    ]
    for i, (of_file, of_dataset) in enumerate(kinds):
        path = folder / f"foreign{i}.h5"
        with h5py.File(path, "w", **of_file) as file:
            for name, array in arrays.items():
                file.create_dataset(
                    name,
                    data=array,
                    **{**of_dataset, **({"maxshape": (None,) * array.ndim} if "maxshape" in of_dataset else {})},
                )
            file.create_dataset("classes", data=np.array(["a", "b", "c"], h5py.string_dtype() if i % 2 else "S1"))
            file.attrs["note"] = "x" * 100
            file["again"] = h5py.SoftLink("/x_train")
            file["elsewhere"] = h5py.ExternalLink("own3.h5", "/x")
            file.create_dataset("lists", (2,), h5py.vlen_dtype(np.int32))
        contents.append(path.read_bytes())
    return contents


def read_theirs(prepared: Any, folder: Path, generator: np.random.Generator) -> None:
    """A damaged dataset of one's own, through the whole script."""
    from scripts.data.import_hdf5 import import_hdf5

    path = folder / "input.h5"
    path.write_bytes(damaged(prepared[generator.integers(len(prepared))], generator, prepared))
    foreign.subprocess.Popen = ForkedReader  # type: ignore[misc, assignment]
    try:
        import_hdf5(file=str(path), output=str(folder / "output.h5"), seed=0, provenance=Provenance())
    except UserError as error:
        raise CleanError(error) from error


def _isolated(path: Path, wanted: foreign.Wanted) -> None:
    foreign.subprocess.Popen = ForkedReader  # type: ignore[misc, assignment]
    try:
        verify(path)
        foreign.read_foreign(path, wanted)
    except StoreError as error:
        raise CleanError(error) from error


class Harmful:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> Any:
        return os._exit, (77,)


def weight_files(folder: Path) -> list[bytes]:
    """State dictionaries in both formats of torch, and pickles that would run code."""
    import torch

    torch.set_num_threads(1)
    tensors = {"0.weight": torch.rand(5, 4), "0.bias": torch.rand(5, dtype=torch.float64), "n": torch.tensor(3)}
    contents = []
    for state, options in (
        (tensors, {}),
        ({"state_dict": tensors, "epoch": 3}, {}),
        (tensors, {"_use_new_zipfile_serialization": False}),
        ({"a": torch.rand(4).to_sparse(), "b": torch.rand(4, dtype=torch.bfloat16)}, {}),
    ):
        stream = io.BytesIO()
        torch.save(state, stream, **options)
        contents.append(stream.getvalue())
    for harm in ({"a": Harmful()}, Harmful()):
        stream = io.BytesIO()
        torch.save(harm, stream)
        contents += [stream.getvalue(), pickle.dumps(harm)]
    return contents


def read_weights(prepared: Any, folder: Path, generator: np.random.Generator) -> None:
    """A damaged file of torch, or a pickle that would run code, as it is or damaged."""
    from neighborhoods.networks.architectures import read_state_dict

    content = prepared[generator.integers(len(prepared))]
    path = folder / "input.pt"
    path.write_bytes(content if generator.random() < 0.05 else damaged(content, generator, prepared))
    try:
        read_state_dict(str(path))
    except ValueError as error:
        raise CleanError(error) from error


def photos(folder: Path) -> list[bytes]:
    """A photo in every format that is read, and in others under their names."""
    generator = np.random.default_rng(0)
    picture = Image.fromarray(generator.integers(0, 256, (40, 50, 3), np.uint8))
    contents = []
    for kind in ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "EPS", "PDF"):
        stream = io.BytesIO()
        picture.save(stream, kind)
        contents.append(stream.getvalue())
    return contents


def read_photo(prepared: Any, folder: Path, generator: np.random.Generator) -> None:
    """A damaged photo."""
    path = folder / "input.jpg"
    path.write_bytes(damaged(prepared[generator.integers(len(prepared))], generator, prepared))
    try:
        decode([path], 32, 36)
    except PhotoError as error:
        raise CleanError(error) from error


def archives(folder: Path) -> list[bytes]:
    """An archive of CIFAR-10's form in few records, and one of labels."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", format=tarfile.GNU_FORMAT) as archive:
        for names in ARCHIVES["cifar10"].members.values():
            for name in names:
                record = bytes(3073)
                member = tarfile.TarInfo(name)
                member.size = len(record)
                archive.addfile(member, io.BytesIO(record))
    return [stream.getvalue(), gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 9]) + bytes(9))]


def read_download(prepared: Any, folder: Path, generator: np.random.Generator) -> None:
    """A damaged download; of archives also where its checksum would be right."""
    content = prepared[generator.integers(len(prepared))]
    inner = gzip.decompress(content)
    # Damage below the compression, too, which would else hide most of it.
    changed = (
        damaged(content, generator, prepared)
        if generator.random() < 0.3
        else gzip.compress(damaged(inner, generator, [inner]))
    )
    path = folder / "input.gz"
    path.write_bytes(changed)
    try:
        if content == prepared[0]:
            read_archive(path, ARCHIVES["cifar10"], hashlib.md5(changed).hexdigest())
        else:
            try:
                digest = hashlib.md5(gzip.decompress(changed)).hexdigest()
            except Exception:
                digest = "0" * 32
            parse_idx(unpack(path, digest))
    except (DownloadError, UserError) as error:
        raise CleanError(error) from error


def states(folder: Path) -> list[bytes]:
    """What a long job keeps."""
    source = folder / "source"
    source.write_text("x")
    progress = Progress(folder / "out.h5", Provenance(), [source])
    progress.keep(3, {"weights": np.arange(2000.0), "checkpoints/001/a": np.arange(3)})
    contents = [path.read_bytes() for path in sorted(folder.glob(".out.h5.*.state"))]
    progress.remove()
    return contents


def read_state(prepared: Any, folder: Path, generator: np.random.Generator) -> None:
    """A damaged state: the job begins anew, whatever it holds."""
    progress = Progress(folder / "out.h5", Provenance(), [folder / "source"])
    main = max(prepared, key=len)
    for path, content in ((progress._path(), main), (progress._path("001"), min(prepared, key=len))):
        path.write_bytes(damaged(content, generator, prepared) if generator.random() < 0.8 else content)
    if progress.read() is None:
        raise CleanError("begins anew")


TARGETS = {
    target.name: target
    for target in (
        Target("results", own_files, read_own),
        Target("forged_models", own_files, read_forged),
        Target("datasets", foreign_files, read_theirs),
        Target("weights", weight_files, read_weights),
        Target("photos", photos, read_photo),
        Target("downloads", archives, read_download),
        Target("states", states, read_state),
    )
}
