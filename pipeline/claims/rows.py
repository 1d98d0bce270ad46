"""What rows of results/claims.csv rest on: results, figures and scale, and what decides those that a run does not."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.claims.ledger import Claim, Part
from pipeline.claims.runs import Offer, scale_of

BETWEEN = "; "
# Files that a row names, of those that another configuration makes.
NAMED = 3


@dataclass(frozen=True)
class Ground:
    """What a row rests on: its `scale` in words; as `evidence` files of results and figures, or what makes them."""

    scale: str
    evidence: str


@dataclass(frozen=True)
class Grounds:
    """Finds what rows rest on.

    Attributes:
        held: results of this run. images: training images of each of its datasets, by the dataset's file. artefacts:
            path of each figure and table that it makes, by name. offers: what configurations of the checkout make.
    """

    held: frozenset[str]
    images: Mapping[str, int]
    artefacts: Mapping[str, str]
    offers: Sequence[Offer]

    def of_part(self, claim: Claim, place: int, *, measured: bool, decided: bool, nothing: str = "") -> Ground:
        """What the row of one part rests on.

        Args:
            place: the part's number. measured: whether this run has a number for it. decided: whether it has it at the
                scale that the claim needs. nothing: what its results lack, where they are there and give no number.
        """
        part, own = claim.parts[place], self._scale(claim, claim.parts[place])
        evidence = [path for path in part.results if path in self.held] if measured else []
        if measured or claim.unmeasured:
            evidence += _shown(claim, self.artefacts)
        if decided:
            return Ground(own, BETWEEN.join(evidence))
        evidence += [nothing] if nothing else []
        need, maker, files = self._needed(claim, place)
        scale = f"{own}; needs {need}" if measured and own else f"needs {need}"
        return Ground(scale, BETWEEN.join([*evidence, f"{maker}: {files}" if files else maker]))

    def of_sentence(
        self, claim: Claim, *, measured: Sequence[bool], decidable: Sequence[bool], decided: bool
    ) -> Ground:
        """What the row of a whole sentence rests on, whose parts are `measured` or not, and `decidable` or not."""
        parts = [part for part, there in zip(claim.parts, measured, strict=True) if there]
        files = list(dict.fromkeys(path for part in parts for path in part.results if path in self.held))
        evidence = (_shown(claim, self.artefacts) or _short(files)) if parts else []
        ready = [part for part, there in zip(claim.parts, decidable, strict=True) if there]
        scales = _unique(self._scale(claim, part) for part in ready or parts)
        if decided:
            return Ground(" and ".join(scales), BETWEEN.join(evidence))
        missing: dict[str, list[str]] = {}
        needs = []
        for place, there in enumerate(decidable):
            if not there:
                need, maker, _ = self._needed(claim, place)
                needs.append(need)
                missing.setdefault(maker, []).append(claim.parts[place].name)
        evidence += [f"{maker}: {', '.join(names)}" for maker, names in missing.items()]
        return Ground(BETWEEN.join([*scales, f"needs {', '.join(_unique(needs))}"]), BETWEEN.join(evidence))

    def _scale(self, claim: Claim, part: Part) -> str:
        # Some statistics make do with those of several networks that are there.
        found = [name for name, path in zip(part.networks, part.results, strict=False) if path in self.held]
        some = f"{', '.join(found)}: {len(found)} of {len(part.networks)} networks"
        scale = scale_of(claim, part, self.images.get(claim.data or ""))
        return f"{scale}; {some}" if 0 < len(found) < len(part.networks) else scale

    def _needed(self, claim: Claim, place: int) -> tuple[str, str, str]:
        """Scale that decides a part, what makes it, and its files; of the source's own data where no other does."""
        for offer in self.offers:
            for name in (claim.id, claim.original):
                found = offer.claims.get(name)
                if found and offer.decides(found, found.parts[place]):
                    part = found.parts[place]
                    files = [*_short(part.results), *_shown(found, offer.artefacts)]
                    row = "" if name == claim.id else f" (row {name})"
                    return offer.scale(found, part), f"with {offer.name}{row}", ", ".join(files)
        if claim.unmeasured:
            return claim.unmeasured, "no result decides it", ""
        train = claim.parts[place].train
        need = f"{train} training images" if train else "results of other settings"
        return need, "no configuration of this project makes it", ""


def without_number(results: Sequence[str], absent: Sequence[str]) -> str:
    """What a row says whose results are there and give no number: files, and names of arrays that they lack."""
    lacking = f", without {', '.join(_unique(absent))}" if any(absent) else ""
    return f"no number from {', '.join(_short(results))}{lacking}"


def _shown(claim: Claim, made: Mapping[str, str]) -> list[str]:
    return [made[name] for name in claim.artefacts if name in made]


def _short(files: Sequence[str]) -> list[str]:
    rest = len(files) - NAMED
    return [*files[:NAMED], f"{rest} more"] if rest > 0 else list(files)


def _unique(texts: Iterable[str]) -> list[str]:
    return [text for text in dict.fromkeys(texts) if text]
