"""Studies of logits, as tables and the ledger name them: their networks' results, their scale, and the source's.

A study trains one network on one dataset in the standard way and adversarially, and distils students from the latter. A
number of the source is compared as a reproduction only with a study that does what the source did (`as_published`).
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from pipeline.teachers import TEACHERS, checkpoint_name

SEGUIN = Path("published") / "seguin.yaml"
SOURCES = ("CIFAR-10", "CIFAR-100")

Config = Mapping[str, Any]


def names_of(study: str, entry: Mapping[str, Any]) -> dict[str, str | list[str]]:
    """What the ledger fills into paths of a study's results.

    Args:
        study: its name. entry: `logits.studies` has it.

    Returns:
        `study`; `seed`, all of them; `standard` and `adversarial`, the teachers; `adversarial_by_epoch`, the teacher at
        each epoch that a student without manipulation learns from, and `students_by_epoch`, these students;
        `students_by_kept` and `students_by_kept_average`, the fix-k students by k and the normal one; `l1_e040`,
        `kl_e040`, …, students without manipulation by loss and epoch, and `l1_late`, `kl_late`, those of the latest
        epoch that has both. Lists may be empty, and the last ones missing.
    """
    plain: dict[str, dict[int, str]] = {"l1": {}, "kl": {}}
    kept: dict[str, dict[int, str]] = {"permute": {}, "average": {}}
    for name, student in entry["students"].items():
        epoch = student["epoch"] or entry["teacher_epoch"]["adversarial"]
        if student["teacher"] != "adversarial" or student["correct"] or student["order"] or student["temperature"] != 1:
            continue
        if student["keep"] is None:
            plain[student["loss"]][epoch] = name
        elif student["loss"] == "l1" and student["epoch"] is None:
            kept[student["rest"]][student["keep"]] = name
    normal = [plain["l1"][epoch] for epoch in [entry["teacher_epoch"]["adversarial"]] if epoch in plain["l1"]]
    epochs = sorted(plain["l1"])
    found: dict[str, str | list[str]] = {
        "study": study,
        "seed": [str(seed) for seed in entry["seeds"]],
        **{teacher: checkpoint_name(teacher, entry["teacher_epoch"][teacher]) for teacher in TEACHERS},
        "adversarial_by_epoch": [checkpoint_name("adversarial", epoch) for epoch in epochs],
        "students_by_epoch": [plain["l1"][epoch] for epoch in epochs],
        "students_by_kept": _ordered(kept["permute"]) + normal,
        "students_by_kept_average": _ordered(kept["average"]) + normal,
    }
    found |= {f"{loss}_e{epoch:03d}": name for loss, names in plain.items() for epoch, name in names.items()}
    if both := plain["l1"].keys() & plain["kl"].keys():
        found |= {f"{loss}_late": names[max(both)] for loss, names in plain.items()}
    return found


def scale_of(config: Config, study: str) -> str:
    """Dataset, network, epochs and seeds of a study in words."""
    entry = config["logits"]["studies"][study]
    epochs, seeds = entry["training"]["epochs"], len(entry["seeds"])
    return f"{entry['dataset']}, {entry['model']}, {epochs} epochs, {seeds} seeds"


def source_of(config: Config, study: str, published: Mapping[str, Any]) -> str:
    """The source's dataset whose numbers stand beside a study's: its own, and CIFAR-10's for what it does not have."""
    data = config["datasets"][config["logits"]["studies"][study]["dataset"]]["source"]
    return next((name for name in SOURCES if published["protocol"][name]["dataset"] == data), SOURCES[0])


def as_published(config: Config, study: str, published: Mapping[str, Any]) -> list[str]:
    """Which networks of a study are trained as the source's: of "standard", "adversarial" and "students".

    A network taken before the end of its training needs no more epochs than that.
    """
    entry, protocol = config["logits"]["studies"][study], published["protocol"]
    model = config["models"][entry["model"]]
    own = protocol[source_of(config, study, published)]
    same = (
        config["datasets"][entry["dataset"]]["source"] == own["dataset"]
        and entry["validation"] == own["validation"]
        and model.get("architecture") == protocol["architecture"]
        and len(entry["seeds"]) >= protocol["seeds"]
        and _equal(protocol["training"], entry["training"])
    )
    if not same:
        return []
    found = [teacher for teacher in TEACHERS if _taken_as_published(entry, protocol, teacher)]
    if "adversarial" in found and not _equal(protocol["adversarial"], entry["adversarial"]):
        found.remove("adversarial")
    schedule = {**entry["training"], **entry["distillation"]}
    as_students = _equal({**protocol["training"], "epochs": protocol["epochs"]}, schedule)
    return [*found, "students"] if "adversarial" in found and as_students else found


def claim_studies(config: Config, root: Path) -> dict[str, dict[str, Any]]:
    """What the ledger needs of the study that plays each role in this run (`claims.studies`).

    Returns:
        By role: `names` as `names_of` has them, `scale`, and `as_published`, e.g. ["CIFAR-10/standard"].
    """
    roles = config["claims"].get("studies", {})
    if not roles:
        return {}
    published = read_published(root)
    return {
        role: {
            "names": names_of(study, config["logits"]["studies"][study]),
            "scale": scale_of(config, study),
            "as_published": [
                f"{source_of(config, study, published)}/{network}" for network in as_published(config, study, published)
            ],
        }
        for role, study in sorted(roles.items())
    }


def accuracy_rows(
    config: Config, study: str, networks: Sequence[str], table: str, published: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Rows of the table of accuracies: what each network is, beside which published one it stands, at which scale.

    Args:
        networks: teachers, as "standard" and "adversarial", or names of students. table: "table1" or "table2".
    """
    source, same = source_of(config, study, published), as_published(config, study, published)
    lines = published[table].get(source, {})
    reproduces = "students" if table == "table2" else None
    return [
        {
            "network": network,
            "study": study,
            "scale": scale_of(config, study),
            "published": [source, network] if network in lines else None,
            "as_published": (reproduces or network) in same,
        }
        for network in networks
    ]


def read_published(root: Path) -> dict[str, Any]:
    """Seguin's numbers, of a checkout."""
    found: dict[str, Any] = yaml.safe_load((root / SEGUIN).read_text(encoding="utf-8"))
    return found


def _taken_as_published(entry: Mapping[str, Any], protocol: Mapping[str, Any], teacher: str) -> bool:
    epoch = entry["teacher_epoch"][teacher]
    return bool(epoch == protocol["teacher_epoch"][teacher] and entry["training"]["epochs"] >= epoch)


def _equal(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Whether settings are those wanted; numbers to a part in a thousand (8/255 is written in decimals)."""
    return all(key in found and _close(value, found[key]) for key, value in wanted.items())


def _close(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, (list, tuple)):
        return len(wanted) == len(found) and all(map(_close, wanted, found))
    return math.isclose(wanted, found, rel_tol=1e-3)


def _ordered(names: Mapping[int, str]) -> list[str]:
    return [names[key] for key in sorted(names)]
