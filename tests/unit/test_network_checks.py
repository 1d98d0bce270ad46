"""What is wrong about options of networks and the stages that rest on them is said before any job runs."""

from pathlib import Path

import pytest
import yaml

from pipeline.config.schema import ConfigError, resolve

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("models.efficientnet-lite0.dropout", 0.2,
         "models.efficientnet-lite0.dropout: expected fully_connected or bell_cnn as architecture, found efficientnet_lite0"),
        ("models.efficientnet-lite0.principal", 5,
         "models.efficientnet-lite0.principal: expected fully_connected or bell_cnn as architecture"),
        ("models.zoo-dropout.dropout", 0,
         "dropout needs a network with dropout, found none in models.zoo-dropout"),
        ("models.zoo-dropout.dropout", 1, "models.zoo-dropout.dropout: expected a value below 1, found 1.0"),
        ("models.zoo-penalty.training.adversarial", {"epsilon": 0.1, "steps": 3},
         "models.zoo-penalty.training.adversarial.step_size: required key is missing"),
        ("models.zoo-penalty.training.soft_nearest_neighbor", {"weight": 1, "temperature": 0},
         "models.zoo-penalty.training.soft_nearest_neighbor.temperature: expected a value above 0, found 0.0"),
        ("zoo.models.pca", "zoo-pac",
         "zoo.models.pca: there is no model 'zoo-pac' in models; the nearest valid one is 'zoo-pca'"),
        ("zoo.dataset", "mnist5", "zoo.dataset: there is no dataset 'mnist5' in datasets"),
        ("zoo.reference", "none", "zoo.reference: expected one of zoo.models (plain, penalty, pca"),
        ("zoo.dataset", None, "zoo: expected a dataset and models, which bell/zoo shows, found none"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence(path, value, sentence):
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    *parents, last = path.split(".")
    place = config
    for key in parents:
        place = place.setdefault(key, {})
    place[last] = value
    with pytest.raises(ConfigError) as error:
        resolve(config)
    (line,) = error.value.lines
    assert sentence in line
