"""Where a long job stands, beside its output: taken up by the next run of the same job, gone once the output is there.

The file is declared in no rule, since Snakemake deletes the outputs of a job that failed. Its name holds a digest of
what decides the result, the content of the job's inputs included, so that no other job takes it up: an input can be
made anew, by other settings, while those of the job stay as they are.
"""

import hashlib
import io
import json
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from pipeline.store import Provenance, publishing

log = logging.getLogger(__name__)

# Never changes once it is kept: each of its groups has a file of its own, which a run writes once.
SETTLED = "checkpoints"


class Progress:
    """The arrays that a job keeps from step to step, numbered from 1."""

    def __init__(self, output: str | Path, provenance: Provenance, inputs: Iterable[str | Path]) -> None:
        """Of a job by its output and all that decides the output: its provenance and the files it reads."""
        self._output = Path(output)
        digest = hashlib.sha256(json.dumps(provenance.attributes(), sort_keys=True).encode())
        for path in inputs:
            with open(path, "rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        self._digest = digest.hexdigest()[:16]
        self._settled: set[str] = set()

    def read(self) -> tuple[int, dict[str, np.ndarray]] | None:
        """The step that was kept last, and its arrays by name; None to begin.

        What another job kept for the same output is removed, and what is damaged with a line in the log.
        """
        for path in self._files():
            if not path.name.startswith(f".{self._output.name}.{self._digest}."):
                path.unlink(missing_ok=True)
        path = self._path()
        if not path.exists():
            self.remove()
            return None
        try:
            arrays = _load(path)
            step, settled = int(arrays.pop("step")), arrays.pop("settled").tolist()
            for group in settled:
                arrays |= _load(self._path(group))
        # zipfile and NumPy's parser of headers raise errors of any kind on damaged files.
        except Exception as error:
            log.warning("%s: damaged, so that the job starts anew (%s)", path, " ".join(str(error).split())[:200])
            self.remove()
            return None
        self._settled = set(settled)
        log.info("%s: goes on after step %d", self._output, step)
        return step, arrays

    def keep(self, step: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Replace what was kept, whole or not at all.

        Args:
            arrays: by name; those named `checkpoints/{group}/...` must be as they were when they were first kept.

        Raises:
            StoreError: as for `publishing`.
        """
        settled: dict[str, dict[str, np.ndarray]] = {}
        moving = {}
        for name, array in arrays.items():
            parts = name.split("/")
            if parts[0] == SETTLED:
                settled.setdefault(parts[1], {})[name] = array
            else:
                moving[name] = array
        # A file alone proves nothing: a run that was killed before its state named the group may have ended elsewhere.
        for group in settled.keys() - self._settled:
            _save(self._path(group), settled[group])
            self._settled.add(group)
        _save(self._path(), {**moving, "step": np.array(step), "settled": np.array(list(settled), dtype=np.str_)})

    def remove(self) -> None:
        """Forget everything: the output is there."""
        self._settled.clear()
        for path in self._files():
            path.unlink(missing_ok=True)

    def _path(self, group: str = "") -> Path:
        return self._output.with_name(
            ".".join(["", self._output.name, self._digest, *([group] if group else []), "state"])
        )

    def _files(self) -> list[Path]:
        folder, name = self._output.parent, self._output.name
        # The second kind is what a killed job was about to publish.
        return [*folder.glob(f".{name}.*.state"), *folder.glob(f"..{name}.*.state.*.tmp")]


def _load(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _save(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    # Not HDF5, which would compress: this is written after every step, and checked by the archive's own checksums. In
    # memory first: where the disk is full, zipfile hides the error behind one of its own.
    packed = io.BytesIO()
    np.savez(packed, allow_pickle=False, **arrays)
    with publishing(path) as temporary, open(temporary, "wb") as file:
        file.write(packed.getbuffer())
