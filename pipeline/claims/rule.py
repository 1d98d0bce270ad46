"""What the ledger of published claims rests on in a configuration, and what decides whether it is written again."""

from pathlib import Path
from typing import Any

from pipeline.claims.ledger import ledger_files, load, results_of
from pipeline.claims.published_numbers import number_files
from pipeline.claims.runs import claim_kernels, configuration_files
from pipeline.plan.selection import (
    artefact_paths,
    result_paths,
)
from pipeline.plan.study_comparison import claim_studies
from pipeline.provenance.digest import code_digest
from pipeline.provenance.specs import Config

CLAIMS = "results/claims.csv"
# Between which limits what each row measures lies if its claim holds.
CLAIM_LIMITS = "results/claim_limits.csv"
SCRIPT = Path("scripts") / "tables" / "claims.py"
FIGURE = "results/figures/claims"
FIGURE_SCRIPT = Path("scripts") / "figures" / "claims.py"


def claims_spec(config: Config, root: Path) -> dict[str, Any]:
    """Spec of the ledger: what it decides, about which datasets, and which of its artefacts this run makes."""
    studies = claim_studies(config, root)
    named = {name for claim in load(root, config["claims"]["datasets"], studies) for name in claim.artefacts}
    made = zip(config["artefacts"], artefact_paths(config), strict=True)
    read = (*ledger_files(root), *number_files(root), *configuration_files(root))
    code = code_digest(root, root / SCRIPT, read)
    shown = {name: path for name, path in made if name in named}
    own = {"code": code, "artefacts": dict(sorted(shown.items())), "studies": studies, "kernels": claim_kernels(config)}
    return dict(sorted({**config["claims"], **own}.items()))


def claim_groups(root: Path) -> list[str]:
    """Groups of claims that have a picture each: the files of the ledger."""
    return [path.stem for path in ledger_files(root)[1:]]


def claim_pictures(root: Path) -> list[str]:
    """Figures of all claims and of each group, as PNG; what lies beside them has other endings."""
    return [f"{FIGURE}.png", *(f"{FIGURE}/{group}.png" for group in claim_groups(root))]


def claims_figure_spec(config: Config, root: Path) -> dict[str, Any]:
    """Spec of the figure of all claims."""
    style = config["figures"]["style"]
    code = code_digest(root, root / FIGURE_SCRIPT, (root / "styles" / f"{style}.mplstyle",))
    return {"code": code, "groups": claim_groups(root), "style": style}


def claim_inputs(config: Config, root: Path) -> list[str]:
    """Results of this configuration that decide published claims."""
    claims = load(root, config["claims"]["datasets"], claim_studies(config, root))
    return sorted(results_of(claims) & set(result_paths(config)))
