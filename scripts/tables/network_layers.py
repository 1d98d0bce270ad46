"""Write the layers of built networks beside the published ones (Bell, Table 3)."""

import re
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

import yaml

from neighborhoods.networks.layers import Layer, layers_of
from pipeline.results.shared import read_network, write_csv
from pipeline.store import StoreError

# The published table holds for every network C-Ch, with Ch for the number of channels.
PATTERN = "C-Ch"


def tabulate(
    *,
    models: Sequence[str],
    output: str,
    names: Sequence[str],
    published: str,
    published_table: str,
) -> None:
    """One row a layer, beside the published row of the same place; networks that are no C-Ch have none."""
    with open(published, encoding="utf-8") as file:
        tables = yaml.safe_load(file)
    if PATTERN not in tables.get(published_table, {}):
        raise StoreError(f"{published}: holds no table '{published_table}' of the networks {PATTERN}")
    rows: list[dict[str, object]] = []
    for name, model in zip(names, models, strict=True):
        stored = read_network(model)
        try:
            layers = layers_of(stored.settings, stored.weights)
        except ValueError as error:
            raise StoreError(f"{model}: {error}") from error
        reported = _reported(tables[published_table][PATTERN], name)
        for number, (layer, row) in enumerate(zip_longest(layers, reported)):
            measured = {} if layer is None else _columns(layer)
            beside = {f"published_{key}": value for key, value in (row or {}).items()}
            rows.append({"network": name, "row": number, **measured, **beside})
    write_csv(output, rows)


def _columns(layer: Layer) -> dict[str, object]:
    sizes = {key: _text(getattr(layer, key)) for key in ("channels", "kernel", "stride", "output_shape")}
    ending = {"parameters": layer.parameters, "followed_by": ", ".join(layer.followed_by)}
    return {"name": layer.name, "type": layer.type, **sizes, **ending}


def _text(sizes: tuple[int, ...]) -> str:
    # As the source writes them.
    return str(sizes) if len(sizes) > 1 else str(sizes[0]) if sizes else "NA"


def _reported(layers: Sequence[Mapping[str, Any]], name: str) -> list[dict[str, Any]]:
    found = re.fullmatch(r"C-(\d+)", name)
    if not found:
        return []
    return [{key: str(value).replace("Ch", found[1]) for key, value in layer.items()} for layer in layers]


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        tabulate(
            models=snakemake.input.models,
            published=snakemake.params.published,
            output=snakemake.output[0],
            **run.settings,
        )
