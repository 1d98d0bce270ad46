"""What of a run the report shows: its figures, pages and tables with their captions, its jobs, its configuration."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snakemake.io import apply_wildcards, get_flag_value, is_flagged
from snakemake.iocontainers import Snakemake

from pipeline.costs.dry_run import look_at

FLAG = "report"
PLACE = re.compile(r"^results/((figures|tables)/)?")


@dataclass(frozen=True)
class Item:
    """A figure, page or table that a rule marks with `report(...)`.

    Attributes:
        name: of the artefact, such as "bell/figure_09". path: its file below the run's folder. beside: what its job
            writes besides. inputs: what it is made from.
        category, label: as the rule has them. caption: reStructuredText with Jinja. caption_file: where that stands.
        job: what the caption knows as `snakemake`. rule: that makes it.
        due: whether the next run would make it (again).
    """

    name: str
    path: str
    beside: tuple[str, ...]
    inputs: tuple[str, ...]
    category: str
    label: str
    caption: str
    caption_file: str
    job: Snakemake
    rule: str
    due: bool


@dataclass(frozen=True)
class Job:
    """A job of a run: its rule, its wildcards, and the file in which Snakemake says how long it took, if any."""

    rule: str
    names: Mapping[str, str]
    benchmark: str | None


@dataclass(frozen=True)
class Run:
    """What the report shows of a run.

    Attributes:
        folder: where it works. config: resolved. items, jobs: of all that the default target or the arguments ask for.
        description: reStructuredText with Jinja for the first page.
    """

    folder: Path
    config: Mapping[str, Any]
    items: tuple[Item, ...]
    jobs: tuple[Job, ...]
    description: str


def read_run(arguments: Sequence[str]) -> Run:
    """The run that these arguments of Snakemake stand for; single targets add to all that a run without any makes.

    Raises:
        PlanError: the configuration or the arguments are refused; Snakemake has printed why.
    """
    return look_at(arguments, _look)


def _look(workflow: Any) -> Run:
    asked = workflow.dag_settings
    targets = {*asked.targets, workflow.default_target} if asked.targets else asked.targets
    # Without what selects or forces jobs: what is there is shown, and "due" means that something has changed.
    workflow.dag_settings = type(asked)(targets=targets, rerun_triggers=asked.rerun_triggers)
    workflow._prepare_dag(forceall=False, ignore_incomplete=True, lock_warn_only=True)
    workflow._build_dag()
    # Snakemake keeps no order of its own.
    jobs = sorted(workflow.dag.jobs, key=lambda job: (job.rule.name, [str(file) for file in job.output]))
    items = [item for job in jobs for item in _items(workflow, job)]
    work = [Job(job.rule.name, dict(job.wildcards_dict), job.benchmark) for job in jobs if job.rule.script]
    return Run(
        Path.cwd(),
        workflow.globals["settings"],
        tuple(items),
        tuple(work),
        _text(workflow, workflow.report_text) if workflow.report_text else "",
    )


def _items(workflow: Any, job: Any) -> list[Item]:
    marked = [file for file in job.output if is_flagged(file, FLAG)]
    found = []
    for file in marked:
        flag = get_flag_value(file, FLAG)
        name = job.wildcards_dict.get("artefact", PLACE.sub("", str(Path(file).with_suffix(""))))
        # One label an item, which begins with its name.
        label = next(iter((flag.labels or {"": Path(file).name}).values()))
        found.append(
            Item(
                name,
                str(file),
                tuple(str(other) for other in job.output if other not in marked and _beside(other, file, marked)),
                tuple(str(one) for one in job.input),
                apply_wildcards(flag.category or "Other", job.wildcards),
                apply_wildcards(label, job.wildcards).removeprefix(f"{name}: "),
                _text(workflow, flag.caption) if flag.caption else "",
                flag.caption.get_filename() if flag.caption else "",
                _known_to_captions(job),
                job.rule.name,
                workflow.dag.needrun(job),
            )
        )
    return found


def _beside(other: str, file: str, marked: Sequence[str]) -> bool:
    """Whether another output of a job belongs to this marked one: of several, to that of its name."""
    return len(marked) == 1 or Path(other).with_suffix("") == Path(file).with_suffix("")


def _known_to_captions(job: Any) -> Snakemake:
    """What Snakemake's own report would hand to the caption."""
    config = job.rule.module_globals["config"]
    settings = (job.wildcards, job.threads, job.resources, job.log, config, job.rule.name, None)
    return Snakemake(job.input, job.output, job.params, *settings)


def _text(workflow: Any, source: Any) -> str:
    with workflow.sourcecache.open(source) as file:
        return file.read()
