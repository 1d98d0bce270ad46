"""Fetching public files: a folder of one's own or a mirror first, then the public homes; checked before use."""

import gzip
import hashlib
import logging
import os
import time
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import requests
import urllib3

from pipeline.errors import UserError

log = logging.getLogger(__name__)

Checked = TypeVar("Checked")

TIMEOUT_S = (10.0, 30.0)  # to connect, and between two pieces of an answer
TRIES = 2
CHUNK_BYTES = 1 << 18
PROGRESS_S = 2.0
# A source that sends less is as good as none; it is left after so long.
SLOWEST_BYTES_PER_S = 1000.0
PATIENCE_S = 60.0
# Beyond the largest file there is (2.6 GB of weights), and beyond what a .gz file of a collection unpacks to (47 MB).
MOST_BYTES = 1 << 32
MOST_UNPACKED_BYTES = 1 << 27


class DownloadError(UserError):
    """A file could not be had, or what was had is damaged."""


def fetch_gzip(name: str, md5_of_content: str, homes: Sequence[str], folder: Path, mirror: str | None = None) -> bytes:
    """Unpacked content of a public .gz file.

    The checksum is that of the unpacked content, since packages of the same data differ in their gzip headers.

    Raises:
        DownloadError: as for `fetch`.
    """
    return fetch(name, partial(unpack, md5_of_content=md5_of_content), homes, folder, mirror)


def fetch(
    name: str, check: Callable[[Path], Checked], homes: Sequence[str], folder: Path, mirror: str | None = None
) -> Checked:
    """What a check makes of a public file.

    A good copy in `folder` is used as it is; a damaged one is deleted. Otherwise the mirror (a folder or URL) and
    the public homes are tried in turn, twice each.

    Args:
        name: file name.
        check: reads a file; it raises `DownloadError` for one that is missing or damaged.
        homes: URLs of folders that hold the file.
        folder: where downloads are kept.
        mirror: a folder or the URL of one, asked first.

    Raises:
        DownloadError: every source failed; the sentence says why for each and where to put the file by hand.
    """
    kept = folder / name
    problems: list[str] = []
    if kept.is_file():
        try:
            return check(kept)
        except DownloadError as error:
            problems.append(str(error))
            kept.unlink()
    for source in [*([mirror] if mirror else []), *homes]:
        for attempt in range(TRIES if _is_url(source) else 1):
            try:
                if not _is_url(source):
                    return check(Path(source).expanduser() / name)
                _download(f"{source.rstrip('/')}/{name}", kept)
                return check(kept)
            except (DownloadError, OSError) as error:
                kept.unlink(missing_ok=True)
                reason = " ".join(str(error).split())[:200]
                log.warning("%s, try %d: %s", source, attempt + 1, reason)
        problems.append(f"{source}: {reason}")
    raise DownloadError(
        f"{name} could not be had ({'; '.join(problems)}); put the file into {folder} by hand or set `mirror` to a "
        "folder that holds it"
    )


def of_collection(mirror: str | None, folder: str) -> str | None:
    """Where a mirror keeps a collection: in a folder of its own, or by itself."""
    if mirror is None or not _is_url(mirror):
        return str(Path(mirror) / folder) if mirror and (Path(mirror) / folder).is_dir() else mirror
    return f"{mirror.rstrip('/')}/{folder}"


def file_digest(path: Path, algorithm: str) -> str:
    """Checksum of a file, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def digested(path: Path, algorithm: str, expected: str) -> Path:
    """The path of a file whose checksum begins as expected.

    Args:
        algorithm: "md5" or "sha256". expected: hexadecimal digits, all or the first.

    Raises:
        DownloadError: the file is missing or another one.
    """
    if not path.is_file():
        raise DownloadError(f"{path} does not exist")
    found = file_digest(path, algorithm)
    if not expected or not found.startswith(expected):
        raise DownloadError(f"{path} is damaged: its {algorithm.upper()} is {found}, expected {expected}")
    return path


def unpack(path: Path, md5_of_content: str) -> bytes:
    """Content of a .gz file whose MD5 is as expected.

    Raises:
        DownloadError: the file is missing, not gzip, truncated, or holds something else.
    """
    try:
        with gzip.open(path) as file:
            content = file.read(MOST_UNPACKED_BYTES + 1)
    except FileNotFoundError:
        raise DownloadError(f"{path} does not exist") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DownloadError(f"{path} is truncated or damaged ({error})") from error
    if len(content) > MOST_UNPACKED_BYTES:
        raise DownloadError(f"{path} is damaged: it unpacks to more than {MOST_UNPACKED_BYTES:,} bytes")
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5_of_content:
        raise DownloadError(f"{path} is damaged: the MD5 of its content is {found}, expected {md5_of_content}")
    return content


def _is_url(source: str) -> bool:
    return source.startswith(("http://", "https://"))


def _download(url: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with requests.get(url, stream=True, timeout=TIMEOUT_S) as answer, open(temporary, "wb") as file:
            answer.raise_for_status()
            places = [step.url for step in (*answer.history, answer)]
            if plain := [place for place in places if url.startswith("https:") and not place.startswith("https:")]:
                raise DownloadError(f"it leads to {plain[0][:100]}, which is not HTTPS")
            length = answer.headers.get("Content-Length", "")
            # No number is as good as none: the checksum decides.
            total = int(length) if length.isdecimal() else 0
            done, told = 0, time.monotonic()
            looked, before = told, 0
            # Undecoded: some servers mark .gz files as an encoding of the answer.
            while piece := answer.raw.read1(CHUNK_BYTES, decode_content=False):
                file.write(piece)
                done += len(piece)
                if (span := time.monotonic() - looked) > PATIENCE_S:
                    if done - before < SLOWEST_BYTES_PER_S * span:
                        raise DownloadError(f"it sent only {done - before} bytes in {span:.0f} s")
                    looked, before = time.monotonic(), done
                if done > MOST_BYTES:
                    raise DownloadError(f"its answer does not end after {MOST_BYTES:,} bytes")
                if time.monotonic() - told > PROGRESS_S:
                    told = time.monotonic()
                    share = f" of {total / 1e6:.1f}" if total else ""
                    log.info("%s: %.1f%s MB", target.name, done / 1e6, share)
        if total and done != total:
            raise DownloadError(f"the connection ended after {done} of {total} bytes")
        os.replace(temporary, target)
    # urllib3's errors pass through `requests` where the raw stream is read.
    except requests.HTTPError as error:
        status = getattr(error.response, "status_code", "unknown")
        raise DownloadError(f"it answered with status {status}") from error
    except (requests.Timeout, urllib3.exceptions.TimeoutError) as error:
        raise DownloadError("timed out without an answer") from error
    except requests.ConnectionError as error:
        raise DownloadError("no connection to it") from error
    except urllib3.exceptions.HTTPError as error:
        raise DownloadError("the connection ended early") from error
    except requests.RequestException as error:
        raise DownloadError(f"not a usable address ({error})") from error
    finally:
        temporary.unlink(missing_ok=True)
