"""The jobs that a run would have, without running any."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from snakemake import cli
from snakemake.workflow import Workflow

from pipeline.errors import UserError
from pipeline.running.arguments import configuration_mistakes

T = TypeVar("T")


class PlanError(UserError, RuntimeError):
    """Snakemake could not read the run; it has said why."""


@dataclass(frozen=True)
class PlannedJob:
    """A job of a run.

    Attributes:
        rule: its name. names: its wildcards. threads: cores that it takes. takes_gpu: whether its rule can use one.
        gpus: how many GPUs it asks for. log, benchmark: files that it writes, if any. outputs: its results.
        after: positions of the jobs that it waits for, in the list of all.
    """

    rule: str
    names: Mapping[str, str]
    threads: int
    takes_gpu: bool
    gpus: int
    log: Path | None
    benchmark: Path | None
    outputs: tuple[Path, ...]
    after: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """What a run would do.

    Attributes:
        config: resolved configuration. jobs: each after all that it waits for. gpus: how many GPUs all jobs share; None
            where a scheduler knows.
    """

    config: Mapping[str, Any]
    jobs: tuple[PlannedJob, ...]
    gpus: int | None = None


def plan(arguments: Sequence[str]) -> Plan:
    """The jobs that Snakemake would run with these arguments; with `--forceall`, all there are.

    Args:
        arguments: what Snakemake gets, as on its command line.

    Raises:
        PlanError: the configuration or the arguments are refused; Snakemake has printed why.
    """

    def look(workflow: Workflow) -> Plan:
        settings = workflow.dag_settings
        workflow._prepare_dag(forceall=settings.forceall, ignore_incomplete=True, lock_warn_only=True)
        workflow._build_dag()
        gpus = workflow.global_resources["gpu"].value if "gpu" in workflow.global_resources else None
        return Plan(workflow.globals["settings"], tuple(_jobs(workflow.dag)), gpus)

    return look_at(arguments, look)


def look_at(arguments: Sequence[str], look: Callable[[Workflow], T]) -> T:
    """What a function finds in the workflow that Snakemake reads with these arguments, before any of it runs.

    Args:
        arguments: what Snakemake gets, as on its command line.
        look: gets the workflow, in its working folder, without a graph of jobs.

    Raises:
        PlanError: the configuration or the arguments are refused; Snakemake has printed why, or the error says it.
    """
    if mistakes := configuration_mistakes(arguments):
        raise PlanError(mistakes)
    found: list[T] = []
    # Of what the command line offers, this alone builds all jobs and then does nothing with them.
    original, Workflow.printdag = Workflow.printdag, lambda workflow: found.append(look(workflow))
    here = Path.cwd()
    try:
        with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
            # What stands behind "--" is a target, whatever it looks like.
            end = arguments.index("--") if "--" in arguments else len(arguments)
            parser, parsed = cli.parse_args([*arguments[:end], "--dag", "--quiet", *arguments[end:]])
            done = cli.args_to_api(parsed, parser)
    except SystemExit as error:
        raise PlanError("the arguments were refused") from error
    finally:
        Workflow.printdag = original
        os.chdir(here)
    if not done or not found:
        raise PlanError("Snakemake could not read this run, as it says above")
    return found[0]


def _jobs(dag: Any) -> Iterator[PlannedJob]:
    waiting = {job for job in dag.needrun_jobs() if job.rule.script}
    places: dict[Any, int] = {}
    for layer in dag.toposorted(waiting):
        for job in layer:
            places[job] = len(places)
            after = tuple(places[before] for before in dag.job_dependencies(job) if before in places)
            yield PlannedJob(
                job.rule.name,
                dict(job.wildcards_dict),
                job.threads,
                "gpu" in job.rule.resources,
                int(job.resources.get("gpu", 0)),
                Path(job.log[0]).absolute() if job.log else None,
                Path(job.benchmark).absolute() if job.benchmark else None,
                tuple(Path(file).absolute() for file in job.output),
                after,
            )
