"""What every job does around its science: logs, threads, device, provenance, and one clear last sentence."""

import contextlib
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import guard
from pipeline.errors import UserError
from pipeline.running.devices import choose_device, device_kind
from pipeline.running.usage import usage
from pipeline.store import Provenance

# Settings of a spec that the surroundings of the science use, not the science.
NOT_ARGUMENTS = ("code", "threads")


@dataclass(frozen=True)
class Job:
    """What a script's guard passes on: keyword arguments, a torch device string and the provenance."""

    settings: dict[str, Any]
    device: str
    provenance: Provenance


@contextlib.contextmanager
def job(snakemake: Any) -> Iterator[Job]:
    """Run the science of a rule.

    Logs go to the rule's log file and to stderr. An error that was written for the user ends the job with its
    sentence alone; of any other the log file keeps the traceback and stderr gets one line. The log file of
    a job that succeeds ends with what it used.

    Args:
        snakemake: the object Snakemake hands to a script; `params.spec` decides the result,
            `params.device` (optional) is the configured device.
    """
    guard.watch()
    spec = dict(snakemake.params.spec)
    script = _script_name(snakemake)
    _start_logging(snakemake.log[0] if snakemake.log else None)
    log = logging.getLogger(script)
    log.setLevel(logging.DEBUG)
    log.debug("code from %s", Path(guard.__file__).parents[1])
    try:
        with choose_device(snakemake.params.get("device", "cpu")) as device:
            _use_threads(int(spec.get("threads", 1)))
            settings = {key: value for key, value in spec.items() if key not in NOT_ARGUMENTS}
            kind = device if device == "cpu" else device_kind(device)
            yield Job(settings, device, Provenance(spec, script, kind))
            log.debug("%s", usage(kind).line())
    except Exception as error:
        if _is_a_sentence(error):
            log.error("%s", error)
        elif sentence := _about_memory(error):
            log.error("%s: %s", snakemake.rule, sentence)
            log.debug("traceback", exc_info=True)
        else:
            text = " ".join(str(error).split())
            log.error("%s failed: %s: %s", snakemake.rule, type(error).__name__, text)
            log.debug("traceback", exc_info=True)
        _quit()


def _is_a_sentence(error: Exception) -> bool:
    """Whether an error was written for the user: a `UserError`, or a ValueError that the library itself raised."""
    if isinstance(error, UserError):
        return True
    library = Path(guard.__file__).parents[1] / "neighborhoods"
    raised_in = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
    return isinstance(error, ValueError) and raised_in.is_relative_to(library)


def _about_memory(error: Exception) -> str | None:
    """One sentence for an error that says that memory is exhausted, of a GPU or of the machine; None for others."""
    # As torch, its allocator for the CPU, and C++ put it; NumPy and HDF5 raise a MemoryError.
    text = str(error)
    if "CUDA" in text and "out of memory" in text:
        return (
            "the GPU's memory is exhausted, and this job cannot do with smaller batches; set a smaller batch_size, "
            "take a larger GPU or set 'device: cpu'"
        )
    host = isinstance(error, MemoryError) or any(
        part in text for part in ("can't allocate memory", "bad_alloc", "Cannot allocate memory")
    )
    return "the machine's memory is exhausted; run fewer jobs at once (--cores) or give this one more" if host else None


def _quit() -> None:
    logging.shutdown()
    raise SystemExit(1)


def _script_name(snakemake: Any) -> str:
    """The script's path below scripts/, which is the same on every machine."""
    path = Path(snakemake.scriptdir)
    parts = path.parts[path.parts.index("scripts") :] if "scripts" in path.parts else path.parts[-1:]
    return "/".join([*parts, str(snakemake.rule)])


def _start_logging(log_file: str | None) -> None:
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    handlers[0].setLevel(logging.INFO)
    unwritable = ""
    if log_file:
        try:
            Path(log_file).parent.mkdir(parents=True, exist_ok=True)
            handlers.append(logging.FileHandler(log_file, mode="w"))
            handlers[1].setLevel(logging.DEBUG)
        except OSError as error:
            unwritable = f"{log_file}: cannot be written ({error.strerror})"
    # A disk that is full for the log, too, would print a traceback for each line.
    logging.raiseExceptions = False
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s", handlers=handlers, force=True)
    if unwritable:
        logging.warning("%s", unwritable)
    # Reports every glyph of a PDF's fonts.
    logging.getLogger("fontTools").setLevel(logging.WARNING)


def _use_threads(threads: int) -> None:
    # Snakemake caps `threads` at the cores it was given; sums in another order differ in the last bits,
    # so the number must be the configuration's.
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = str(threads)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(threads)
