"""Draw where logits of the analytic model are allowed, as printed beside as derived (Seguin, figure C.1)."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from pipeline.figures.style import EXACT, drawing, save
from pipeline.store import Reader, reading

# Largest difference of logits that is drawn: the formulas have poles.
TOP = 20.0

# Of titles, in points: two columns leave no room for more.
SIZE = 7

LINES = {"plus": "-", "minus": "--"}
VERSIONS = ("printed", "derived")
CURVES = {"correct": {"f": ("β − f", "C6")}, "wrong": {"g": ("β − g", "C5"), "psi": ("β − ψ", "C3")}}
KINDS = ("min.", "saddle", "max.")


def draw(*, model: str, outputs: Sequence[str], style: str) -> None:
    """Above β − f, in the middle β − g and β − ψ, all above zero where β is allowed, below g − ψ.

    The dotted curve, ψ = 0, is the local minimum of equation 3 that the source does not list.
    """
    with reading(model) as file, drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        figure, panels = plt.subplots(3, 2, figsize=(width, 2.2 * height), sharex=True, sharey=True)
        beta = file.read("beta")
        for column, version in zip(panels.T, VERSIONS, strict=True):
            for axes, (side, curves) in zip(column, CURVES.items(), strict=False):
                _allowed(axes, file, f"{version}/plus/{side}", beta)
                for root, line in LINES.items():
                    for name, (label, colour) in curves.items():
                        values = beta - file.read(f"{version}/{root}/{side}/{name}")
                        _curve(axes, beta, values, line, colour, label)
            for root, line in LINES.items():
                g, psi = (file.read(f"{version}/{root}/wrong/{name}") for name in ("g", "psi"))
                _curve(column[2], beta, g - psi, line, "C4", "g − ψ")
            column[2].set_xlabel("largest logit β (nat)")
            column[0].set_title(f"as {version}\n{column[0].get_title()}", size=SIZE)
        for limit in file.read("printed/g_above_psi")[-1:, 1]:
            panels[2, 0].axvline(limit, color="C2", linestyle=":", linewidth=0.8)
            panels[2, 0].set_title(f"g = ψ at β = {limit:.2f}", size=SIZE)
        _curve(panels[1, 1], beta, beta - file.read("derived/plus/level/g"), ":", "k", "β − g, ψ = 0")
        for axes, label in zip(panels[:, 0], ("correct (nat)", *["misclassified (nat)"] * 2), strict=True):
            axes.set_ylabel(label)
            axes.legend(loc="lower right", handlelength=1.2)
        panels[1, 1].legend(
            handles=panels[1, 1].lines[-1:], loc="center right", bbox_to_anchor=(1, 0.38), handlelength=1.2
        )
        for axes in panels.flat:
            axes.axhline(0, color="k", linewidth=0.5)
            axes.set_ylim(-TOP, TOP)
        text = "lines: root +, dashes: root −; grey: β allowed for root +"
        text += f"\nderived: minimum, saddle or maximum of equation 3\n{int(file.read('classes'))} classes; {EXACT}"
        figure.suptitle(text, size=SIZE)
        save(figure, outputs)


def _curve(axes: Axes, beta: np.ndarray, values: np.ndarray, line: str, colour: str, label: str) -> None:
    shown = np.where(np.abs(values) <= TOP, values, np.nan)
    axes.plot(beta, shown, line, color=colour, linewidth=1.0, label=label if line != "--" else f"_{label}, root −")


def _allowed(axes: Axes, file: Reader, group: str, beta: np.ndarray) -> None:
    """Shade the range of beta in which the condition holds; a title names it and what the points in it are."""
    parts = []
    for low, high in file.read(f"{group}/admissible"):
        axes.axvspan(low, high, color="0.9", linewidth=0, zorder=0, label="_allowed")
        limits = [f"β > {low:.2f}"] if low > beta[0] else []
        parts.append(", ".join(limits + ([f"β ≤ {high:.2f}"] if high < beta[-1] else [])))
    shares = np.nan_to_num(file.read(f"{group}/kind_shares", ("kind",)))
    found = ", ".join(f"{100 * share:.0f} % {name}" for name, share in zip(KINDS, shares, strict=True) if share)
    axes.set_title(f"{'; '.join(parts) or 'no β'} allowed{':' if found else ''}\n{found}".strip(), size=SIZE)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(model=snakemake.input.model, outputs=snakemake.output, **run.settings)
