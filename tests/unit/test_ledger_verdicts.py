"""A changed result changes the verdict, for every statistic of the ledger: through files, the store and the rule's script."""

import csv

import numpy as np
import pytest
import yaml

from neighborhoods.evidence.statistics import STATISTICS
from neighborhoods.evidence.verdicts import NOT_AS_PRINTED, NOT_REPRODUCED, NOT_RUN, REPRODUCED, Finding
from pipeline.store import Provenance, StoreError, writing
from scripts.tables.claims import decide
from tests.unit.claim_cases import CASES

SETTINGS = {"datasets": {}, "studies": {}, "kernels": {}, "artefacts": {}, "confidence": 0.95}


def entry(name, cells, arguments):
    published = {"published": f"bell/{name}"} if "published" in arguments else {}
    test = {key: value for key, value in arguments.items() if key != "published"}
    results = [f"cases/{name}-{place}" for place in range(len(cells))]
    made = {"id": name, "source": "S", "claim": "A claim.", "statistic": name, "results": results, "test": test}
    return made | published


@pytest.fixture
def decided(tmp_path, monkeypatch):
    """Writes results of all cases, decides a ledger of them, and returns its rows by id."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "checkout" / "published"
    (folder / "claims").mkdir(parents=True)

    def rows(good):
        paths, entries = [], []
        for name, (cells_of, arguments) in CASES.items():
            cells = cells_of(good)
            entries.append(entry(name, cells, arguments))
            for place, cell in enumerate(cells):
                paths.append(f"results/cases/{name}-{place}.h5")
                with writing(paths[-1], Provenance()) as file:
                    for key, value in cell.items():
                        dims = [f"axis{axis}" for axis in range(np.ndim(value))]
                        file.put(key, value, "of a case", dims)
        numbers = {name: arguments["published"] for name, (_, arguments) in CASES.items() if "published" in arguments}
        (folder / "bell.yaml").write_text(yaml.safe_dump(numbers))
        (folder / "claims.yaml").write_text(yaml.safe_dump({"networks": {}, "files": ["all"]}))
        (folder / "claims" / "all.yaml").write_text(yaml.safe_dump(entries))
        outputs = ["claims.csv", "limits.csv"]
        decide(results=paths, outputs=outputs, root=str(folder.parent), provenance=Provenance(), **SETTINGS)
        with open("claims.csv", newline="") as one, open("limits.csv", newline="") as other:
            return {
                row["id"]: row | limit for row, limit in zip(csv.DictReader(one), csv.DictReader(other), strict=True)
            }

    return rows


def test_every_statistic_has_a_case():
    assert CASES.keys() == STATISTICS.keys()


def test_a_changed_result_changes_the_verdict(decided):
    support, contradict = decided(True), decided(False)
    for name in CASES:
        assert support[name]["verdict"] == REPRODUCED, (name, support[name])
        # Undecided is no contradiction: a claim that nothing contradicts says nothing.
        assert contradict[name]["verdict"] in (NOT_REPRODUCED, NOT_AS_PRINTED), (name, contradict[name])
    for rows in (support, contradict):
        assert all(row["evidence"].startswith("results/cases/") and row["scale"] for row in rows.values())
        # What is drawn agrees with the verdict: an interval within the limits, and none that is reproduced outside.
        for name, row in rows.items():
            least, most = (float(row[key] or sign * np.inf) for key, sign in (("least", -1), ("most", 1)))
            assert np.isfinite([least, most]).any(), name
            assert float(row["low"]) <= float(row["high"]), name
            assert row["verdict"] != REPRODUCED or least <= float(row["measured"]) <= most, name


def test_a_finding_sets_no_limits_unless_a_statistic_does():
    assert (Finding(1, 0, 2, 9, REPRODUCED).least, Finding(1, 0, 2, 9, REPRODUCED).most) == (-np.inf, np.inf)


# Statistics that read a group of the ledger's, by the argument that names it.
GROUPS = {
    name: key
    for name, (_, arguments) in CASES.items()
    for key in (
        "group",
        "groups",
        "column",
        "of",
        "shape",
        "case",
        "by",
        "other",
        "first",
        "score",
        "prediction",
        "root",
    )
    if key in arguments
}


@pytest.mark.parametrize("name", GROUPS)
def test_a_name_that_results_do_not_hold_is_told(name, tmp_path, monkeypatch):
    """A slip of the ledger stops the table with the name, or the row says that there is no number; never less."""
    monkeypatch.chdir(tmp_path)
    cells_of, arguments = CASES[name]
    key = GROUPS[name]
    wrong = ["no-such-thing"] * 2 if key == "groups" else "no-such-thing"
    paths = [f"results/cases/{name}-{place}.h5" for place in range(len(cells_of(True)))]
    for path, cell in zip(paths, cells_of(True), strict=True):
        with writing(path, Provenance()) as file:
            for array, value in cell.items():
                file.put(array, value, "of a case", [f"axis{axis}" for axis in range(np.ndim(value))])
    folder = tmp_path / "checkout" / "published"
    (folder / "claims").mkdir(parents=True)
    (folder / "bell.yaml").write_text(yaml.safe_dump({name: arguments.get("published", 1.0)}))
    (folder / "claims.yaml").write_text(yaml.safe_dump({"networks": {}, "files": ["all"]}))
    (folder / "claims" / "all.yaml").write_text(
        yaml.safe_dump([entry(name, cells_of(True), {**arguments, key: wrong})])
    )
    settings = {"results": paths, "outputs": ["claims.csv", "limits.csv"], "root": str(folder.parent)}
    try:
        decide(**settings, provenance=Provenance(), **SETTINGS)
    except (KeyError, ValueError, StoreError) as error:
        assert "no-such-thing" in str(error)
    else:
        with open("claims.csv", newline="") as file:
            (row,) = csv.DictReader(file)
        assert row["verdict"] == NOT_RUN
        assert row["evidence"].startswith("no number from results/cases/")
