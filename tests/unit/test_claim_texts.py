"""What the ledger's texts say of settings, spreads and data is so."""

import re
from pathlib import Path

import pytest

from pipeline.ledger import load
from pipeline.yaml_files import read_yaml

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def claims():
    return {claim.id: claim for claim in load(ROOT, {"mnist": "digits"})}


@pytest.mark.parametrize(
    ("claim", "attack"), [("igsm-faster-than-lbfgs", "igsm-all"), ("igsm-faster-than-lbfgs-photos", "photos-bim")]
)
def test_a_speed_that_is_a_setting_is_stated_as_one(claims, claim, attack):
    (steps,) = re.findall(r"at (\d+) steps of IGSM, which the source does not state", claims[claim].claim)
    assert int(steps) == read_yaml(ROOT / "config.yaml")["attacks"][attack]["steps"]
    for name in ("mnist_full", "paper", "paper_imagenet", "paper_gpu"):
        assert "steps" not in read_yaml(ROOT / "config" / f"{name}.yaml").get("attacks", {}).get(attack, {})
