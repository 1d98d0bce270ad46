"""What a user's own files hold, for rules whose results hang on them.

Snakemake looks at times: a file that is replaced by an older one, copied with its times or made while a clock was
behind, would go unseen. Params are compared by value, so a digest among them sees it. It is no part of a spec, since
results carry that.
"""

import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path


@cache
def file_content(path: str) -> str:
    """SHA-256 of a file, hexadecimal; empty where there is none, which Snakemake then says."""
    if not Path(path).is_file():
        return ""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def names_and_sizes(folder: str, paths: Iterable[str]) -> str:
    """Digest of the names below a folder and sizes of files that are too many to be read before each run."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{Path(path).relative_to(folder)}\0{Path(path).stat().st_size}\0".encode())
    return digest.hexdigest()
