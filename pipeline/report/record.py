"""What a run was made with and how long it took, as pages show it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.config.schema import resolve
from pipeline.provenance.history import SECRET
from pipeline.report.run import Job
from pipeline.report.tables import TableError, is_number, read_rows
from pipeline.yaml_files import read_yaml

# Of Snakemake's benchmark files: seconds by the clock, processor seconds, and most memory in MB.
TIMES = ("s", "cpu_time", "max_rss")


@dataclass(frozen=True)
class Change:
    """A setting that differs from the default configuration; None where one of the two does not have it."""

    key: str
    here: str | None
    default: str | None


@dataclass(frozen=True)
class JobTime:
    """What Snakemake measured of a job: seconds by the clock and of processors, most memory in MB (None: not seen)."""

    rule: str
    names: str
    seconds: float
    cpu_s: float | None
    memory_mb: float | None


@dataclass(frozen=True)
class RuleTime:
    """The jobs of a rule together: how many, seconds in all, of the longest and of processors, most memory of one."""

    rule: str
    jobs: int
    seconds: float
    longest_s: float
    cpu_s: float
    memory_mb: float


def changes(config: Mapping[str, Any], root: Path) -> list[Change]:
    """Settings of a resolved configuration that the checkout's config.yaml alone would not give."""
    here, default = (dict(_leaves(settings)) for settings in (config, resolve(read_yaml(root / "config.yaml"))))
    return [
        Change(key, _shown(here.get(key)), _shown(default.get(key)))
        for key in [*here, *(key for key in default if key not in here)]
        if here.get(key) != default.get(key)
    ]


def settings_text(config: Mapping[str, Any]) -> dict[str, str]:
    """Each section of a configuration as YAML, without passwords in addresses."""
    return {key: SECRET.sub("", _yaml(value)) for key, value in config.items()}


def _leaves(settings: Any, key: str = "") -> Iterator[tuple[str, tuple[Any]]]:
    """Settings by their dotted keys, each in a tuple, so that None is a setting; an empty mapping is one, too."""
    if isinstance(settings, Mapping) and settings:
        for name, value in settings.items():
            yield from _leaves(value, f"{key}.{name}" if key else str(name))
    else:
        yield key, (settings,)


def _shown(value: tuple[Any] | None) -> str | None:
    return None if value is None else SECRET.sub("", _yaml(value[0]).strip().removesuffix("\n..."))


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, default_flow_style=None, width=100)


def job_times(folder: Path, jobs: Sequence[Job]) -> list[JobTime]:
    """Times of those jobs that have any, the longest first."""
    found = []
    for job in jobs:
        try:
            line = read_rows(folder / job.benchmark, delimiter="\t")[1][0] if job.benchmark else {}
        except (TableError, IndexError):
            continue
        seconds, cpu, memory = (float(line[key]) if is_number(line.get(key, "")) else None for key in TIMES)
        if seconds is not None:
            found.append(JobTime(job.rule, ", ".join(job.names.values()), seconds, cpu, memory))
    return sorted(found, key=lambda one: (-one.seconds, one.rule, one.names))


def rule_times(times: Sequence[JobTime]) -> list[RuleTime]:
    """Times by rule, the costliest first."""
    rules = [[one for one in times if one.rule == rule] for rule in dict.fromkeys(one.rule for one in times)]
    sums = [
        RuleTime(
            group[0].rule,
            len(group),
            sum(one.seconds for one in group),
            max(one.seconds for one in group),
            sum(one.cpu_s or 0.0 for one in group),
            max(one.memory_mb or 0.0 for one in group),
        )
        for group in rules
    ]
    return sorted(sums, key=lambda one: (-one.seconds, one.rule))
