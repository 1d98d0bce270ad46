"""Photos in folders: which class each shows, and its pixels at the size that networks take."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.errors import UserError
from pipeline.plan.catalogue import SYNSETS
from pipeline.wording import class_numbers

ROOT = Path(__file__).resolve().parents[2]
ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
# Whatever a file is called: others of Pillow's formats start programs (EPS) or are rarely tried.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
SPLITS = {"train": "train", "test": "test", "val": "test"}
FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


class PhotoError(UserError):
    """Photos cannot be read or do not say which class they show."""


@dataclass(frozen=True)
class Photos:
    """Files of one split, the class of each by number, and the names of the classes; None for those of ImageNet."""

    files: list[Path]
    labels: list[int]
    classes: list[str] | None


def find_photos(folder: Path) -> dict[str, Photos]:
    """Photos of the splits `train` and `test` of a folder.

    The folder holds a folder for each class, or `train` and `test` (or `val`) with these; without them all photos are
    for testing. Classes are those of ImageNet where the names of all their folders are its synsets, such as n01531178;
    instead of folders, names of files may begin with them.

    Raises:
        PhotoError: there are no photos, or some do not say which class they show.
    """
    photos_below(folder)
    named_as_splits = [name for name in SPLITS if (folder / name).is_dir()]
    if {"test", "val"} <= set(named_as_splits):
        raise PhotoError(f"{folder}: expected photos for testing in test or val, found both")
    # A class may be called train or test where others lie beside it.
    others = [path for path in folder.iterdir() if path.is_dir() and path.name not in SPLITS]
    parts = {SPLITS[name]: folder / name for name in named_as_splits if not others}
    found = {split: _labelled(part) for split, part in (parts or {"test": folder}).items()}
    named = {name for photos in found.values() for _, name in photos}
    synsets = synset_numbers()
    imagenet = named <= synsets.keys()
    numbers = synsets if imagenet else {name: i for i, name in enumerate(sorted(named))}
    classes = None if imagenet else sorted(named)
    return {
        split: Photos([file for file, _ in photos], [numbers[name] for _, name in photos], classes)
        for split, photos in found.items()
    }


def photos_below(folder: str | Path) -> list[str]:
    """Paths of all photos in a folder and below it, sorted.

    Raises:
        PhotoError: there is no such folder, or a name holds braces.
    """
    if not Path(folder).is_dir():
        raise PhotoError(f"{folder}: expected a folder of photos, found none")
    found = sorted(str(path) for path in Path(folder).rglob("*") if path.suffix.lower() in ENDINGS)
    if braces := [path for path in found if "{" in path or "}" in path]:
        raise PhotoError(f"{braces[0]}: expected a name without braces, which Snakemake takes for wildcards")
    return found


def _labelled(folder: Path) -> list[tuple[Path, str]]:
    """Photos below a folder with the name of their class, sorted."""
    files = [Path(path) for path in photos_below(folder)]
    if not files:
        raise PhotoError(f"{folder}: expected photos ({', '.join(ENDINGS)}), found none")
    photos = []
    for file in files:
        first = file.relative_to(folder).parts[0]
        if first == file.name:
            match = re.match(r"n\d{8}(?=[_.])", first)
            if match is None:
                raise PhotoError(
                    f"{file}: expected photos in a folder for each class, or names that begin with a synset such as "
                    "n01531178_"
                )
            first = match[0]
        photos.append((file, first))
    return photos


def synset_numbers() -> dict[str, int]:
    """Number of each class of ImageNet-1k by its synset (WordNet's number of a noun)."""
    return {name: i for i, name in enumerate((ROOT / SYNSETS).read_text(encoding="utf-8").split())}


def packaged_imagenet() -> Photos:
    """The 20 labelled photos of ImageNet that ship in the package foolbox; their names end in the class.

    Raises:
        PhotoError: the package is not installed or does not hold them.
    """
    package = find_spec("foolbox")
    folder = Path(package.origin).parent / "data" if package and package.origin else None
    files = sorted(folder.glob("imagenet_*.jpg")) if folder else []
    if not files:
        raise PhotoError("the package foolbox, which ships the photos, is not installed")
    return Photos(files, [int(file.stem.rpartition("_")[2]) for file in files], None)


def chosen(photos: Photos, classes: Sequence[str], only: Sequence[int | str], most: int | None, seed: int) -> Photos:
    """Photos of some classes, at most so many, drawn at random; their order stays.

    Args:
        classes: names of all classes. only: classes to keep, by name or number; all for none.

    Raises:
        UserError: a class is unknown, or no photo is left.
    """
    kept = set(class_numbers(only, classes))
    rows = np.array([i for i, label in enumerate(photos.labels) if not only or label in kept], dtype=int)
    if len(rows) == 0:
        raise PhotoError(f"no photo shows one of the classes {', '.join(map(str, only))}")
    rows = np.sort(np.random.default_rng(seed).permutation(rows)[:most])
    return Photos([photos.files[i] for i in rows], [photos.labels[i] for i in rows], photos.classes)


def decode(files: Sequence[Path], size: int, resize: int, interpolation: str = "bicubic") -> np.ndarray:
    """Photos as networks of ImageNet take them: [N, 3, size, size], uint8.

    The short side becomes `resize` pixels, then the middle is cut out.

    Raises:
        PhotoError: a file is no readable photo.
    """
    pixels = np.empty((len(files), 3, size, size), np.uint8)
    for row, file in zip(pixels, files, strict=True):
        try:
            with Image.open(file, formats=FORMATS) as photo:
                small = _short_side(photo.convert("RGB"), max(resize, size), FILTERS[interpolation])
        # Decoders raise errors of any kind on damaged files.
        except Exception as error:
            raise PhotoError(f"{file}: not a readable photo ({' '.join(str(error).split())[:150]})") from error
        left, top = (round((side - size) / 2) for side in small.size)
        row[:] = np.asarray(small.crop((left, top, left + size, top + size))).transpose(2, 0, 1)
    return pixels


def _short_side(photo: Image.Image, length: int, resampling: Image.Resampling) -> Image.Image:
    short = min(photo.size)
    width, height = (length if side == short else int(length * side / short) for side in photo.size)
    return photo.resize((width, height), resampling)
