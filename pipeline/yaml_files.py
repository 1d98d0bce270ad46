"""YAML files as plain data."""

from pathlib import Path
from typing import Any

import yaml

# libyaml's parser reads the ledger in a seventh of the time; PyYAML can be built without it.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(path: Path) -> Any:
    """What a YAML file holds.

    Raises:
        OSError: the file cannot be read. UnicodeDecodeError: it is not UTF-8. yaml.YAMLError: it is not YAML.
    """
    return yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER)
