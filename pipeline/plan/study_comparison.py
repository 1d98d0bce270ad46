"""What of a study of logits stands beside the source's numbers: its networks by what they learn, and its scale.

A number of the source is compared as a reproduction only with a study that does what the source did (`as_published`).
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.plan.logit_studies import distillation_of, epoch_taken
from pipeline.plan.teachers import TEACHERS, checkpoint_name
from pipeline.yaml_files import read_yaml

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
        `students_by_kept` and `students_by_kept_average`, the fix-k students by k and the normal one; `normal`,
        `fix-1`, …, `correct-fix-1`, … and `hybrid`, the source's students, by their settings and not by their names;
        `l1_e040`, `kl_e040`, …, students without manipulation by loss and epoch, and `l1_late`, `kl_late`, those of
        the latest epoch that has both. Lists may be empty, and all from `normal` on missing. Of students that learn the
        same, the first counts.
    """
    plain: dict[str, dict[int, str]] = {"l1": {}, "kl": {}}
    kept: dict[str, dict[int, str]] = {"permute": {}, "average": {}}
    lines: dict[str, str | list[str]] = {}
    for name, student in entry["students"].items():
        if line := line_of(entry, student):
            lines.setdefault(line, name)
        if student["teacher"] != "adversarial" or student["correct"] or student["order"] or student["temperature"] != 1:
            continue
        epoch = epoch_taken(entry, student)
        if student["keep"] is None:
            plain[student["loss"]].setdefault(epoch, name)
        elif student["loss"] == "l1" and epoch == entry["teacher_epoch"]["adversarial"]:
            kept[student["rest"]].setdefault(student["keep"], name)
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
        **lines,
    }
    found |= {f"{loss}_e{epoch:03d}": name for loss, names in plain.items() for epoch, name in names.items()}
    if both := plain["l1"].keys() & plain["kl"].keys():
        found |= {f"{loss}_late": names[max(both)] for loss, names in plain.items()}
    return found


def line_of(entry: Mapping[str, Any], student: Mapping[str, Any]) -> str | None:
    """Name that the source has for a student of these settings, e.g. "correct-fix-1"; None if it has none.

    Its students learn by L1 from the adversarial teacher at the epoch that stands for it, with the rest permuted.
    """
    same = student["teacher"] == "adversarial" and student["loss"] == "l1" and student["rest"] == "permute"
    if not same or epoch_taken(entry, student) != entry["teacher_epoch"]["adversarial"]:
        return None
    keep, correct, order = (student[key] for key in ("keep", "correct", "order"))
    if keep is not None and order is None:
        return f"correct-fix-{keep}" if correct else f"fix-{keep}"
    if keep is None and not correct:
        return {None: "normal", "standard": "hybrid"}.get(order)
    return None


def scale_of(config: Config, study: str, network: str = "adversarial") -> str:
    """Dataset, network, attack, epochs and seeds of a way of training or of "students" in words."""
    entry = config["logits"]["studies"][study]
    training = entry["training"] if network in TEACHERS else distillation_of(entry)
    size = f"epsilon {entry['adversarial']['epsilon']:.3g}, {training['epochs']} epochs, {len(entry['seeds'])} seeds"
    return f"{entry['dataset']}, {entry['model']}, {size}"


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
        and entry["robustness"]["steps"] >= protocol["attack_steps"]
        and _equal(protocol["training"], entry["training"])
    )
    if not same:
        return []
    found = [teacher for teacher in TEACHERS if _taken_as_published(entry, protocol, teacher)]
    if "adversarial" in found and not _equal(protocol["adversarial"], entry["adversarial"]):
        found.remove("adversarial")
    as_students = _equal({**protocol["training"], "epochs": protocol["epochs"]}, distillation_of(entry))
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

    Students stand beside the source's by their settings, whatever they are called.

    Args:
        networks: teachers, as "standard" and "adversarial", or names of students. table: "table1" or "table2".
    """
    entry, source = config["logits"]["studies"][study], source_of(config, study, published)
    same, lines = as_published(config, study, published), published[table].get(source, {})
    rows: list[dict[str, Any]] = []
    for network in networks:
        line: str | None
        if network in TEACHERS:
            own, line, epoch = network, network, entry["teacher_epoch"][network]
        else:
            student = entry["students"][network]
            own, line, epoch = "students", line_of(entry, student), epoch_taken(entry, student)
        rows.append(
            {
                "network": network,
                "study": study,
                "scale": scale_of(config, study, own),
                "teacher_epoch": epoch,
                "published": [source, line] if line in lines else None,
                "as_published": own in same,
            }
        )
    return rows


def read_published(root: Path) -> dict[str, Any]:
    """Seguin's numbers, of a checkout."""
    found: dict[str, Any] = read_yaml(root / SEGUIN)
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
