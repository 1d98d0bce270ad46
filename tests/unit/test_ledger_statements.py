"""Every entry of the ledger decides as its claim reads: what a claim says is reproduced, and the contrary is not."""

import re
from pathlib import Path

import pytest

from neighborhoods.evidence.statistics import STATISTICS
from neighborhoods.evidence.verdicts import NOT_AS_PRINTED, NOT_REPRODUCED, REPRODUCED, UNDECIDED
from pipeline.claims.ledger import load
from pipeline.plan.study_comparison import names_of
from tests.unit.claim_statements import SAYS, cells_of
from tests.unit.test_ledger import ROLES, STUDENT, STUDY, STUDY_ROLES

ROOT = Path(__file__).resolve().parents[2]
STUDENTS = STUDY["students"] | {f"average-{k}": {**STUDENT, "keep": k, "rest": "average"} for k in (1, 3)}
# Their unit is unknown: what is measured stands beside the number, and no result decides it.
OPEN = {"table2-natural", "table2-adversarial"}


def real_claims():
    roles = ROLES | STUDY_ROLES
    study = {**STUDY, "students": STUDENTS}
    studies = {role: {"names": names_of(role, study), "scale": role, "as_published": []} for role in roles}
    return load(ROOT, roles, studies)


CLAIMS = [claim for claim in real_claims() if claim.statistic]
PARTS = [
    pytest.param(claim, part, id=f"{claim.id}/{part.name}" if part.name else claim.id)
    for claim in CLAIMS
    if claim.id == claim.original
    for part in claim.parts
]


def verdict(claim, part, good):
    number = {} if part.published is None else {"published": part.published}
    settings = {"confidence": 0.95, "comparisons": claim.comparisons, **number, **part.arguments}
    found = STATISTICS[claim.statistic](cells_of(SAYS[claim.original][part.name], good, part), **settings)
    return found and found.verdict


def test_every_part_of_the_ledger_is_read_a_second_time():
    assert {claim.original: {part.name for part in claim.parts} for claim in CLAIMS} == {
        name: set(parts) for name, parts in SAYS.items()
    }


def test_rows_about_other_data_are_decided_as_those_of_the_source():
    own = {claim.id: claim for claim in CLAIMS}
    for claim in CLAIMS:
        same = own[claim.original]
        for name in ("statistic", "claim", "comparisons"):
            assert getattr(claim, name) == getattr(same, name)
        assert [part.arguments for part in claim.parts] == [part.arguments for part in same.parts]


@pytest.mark.parametrize(("claim", "part"), PARTS)
def test_what_a_claim_says_is_reproduced_and_the_contrary_is_not(claim, part):
    if claim.original in OPEN:
        assert {verdict(claim, part, good) for good in (True, False)} == {UNDECIDED}
        return
    assert verdict(claim, part, True) == REPRODUCED
    # Another verdict alone would do for a claim that nothing can contradict.
    assert verdict(claim, part, False) in (NOT_REPRODUCED, NOT_AS_PRINTED)


# Arguments that tell a tolerance, and numbers of claims that they spell differently: a factor by its logarithm or as a
# share, and a step with room for the rounding of a grid.
TOLERANCES = ("points", "factor", "margin", "tolerance", "degrees", "step")
SPELLED = {
    ("seguin-late-logits-alike", 1.25): 0.223,
    ("orthant-spectrum-size", 2.0): 1.02,
    ("tilting-best", 0.1): 0.11,
}
STATED = [
    claim for claim in CLAIMS if claim.id == claim.original and "olerance" in claim.claim and claim.id not in OPEN
]


def stated(text):
    """Numbers of all tolerances in words, in their order, without what their clauses say of other things."""
    text = re.sub(r", (which|whose) [^,.;]*", "", text)
    phrases = re.findall(r"[Tt]olerances?\b(.*?)(?:\.(?=\s|$)|\)|; (?=[a-z])|$)", text)
    return [float(number) for phrase in phrases for number in re.findall(r"(?<![\w.-])\d+(?:\.\d+)?(?:e-\d+)?", phrase)]


@pytest.mark.parametrize("claim", STATED, ids=lambda claim: claim.id)
def test_tolerances_are_those_of_the_words(claim):
    words = [SPELLED.get((claim.id, number), number) for number in stated(claim.claim)]
    keys = (*TOLERANCES, "most") if claim.statistic == "mean_between" else TOLERANCES
    used = [value for part in claim.parts for key, value in part.arguments.items() if key in keys]
    assert words
    # In the order of the parts, which is that of the words.
    assert list(dict.fromkeys(words)) == list(dict.fromkeys(used))


def test_every_published_number_has_a_tolerance_in_words():
    without = {
        claim.id
        for claim in CLAIMS
        if claim.original == claim.id
        and any(part.published is not None for part in claim.parts)
        and claim not in STATED
    }
    # Told by the residual that the source prints.
    assert without == {"tilting-closed-form", *OPEN}
