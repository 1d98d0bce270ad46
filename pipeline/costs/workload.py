"""How much each job has to do, from the configuration and its wildcards alone.

`Work.seconds` counts what takes most of a job's time, in seconds that this would take on the core measured in
passes.json. It needs to be right only up to a factor of its rule, which `pipeline.costs.measured` holds: it has to grow
as the job does.
"""

from pipeline.costs import work_of_networks, work_of_studies
from pipeline.costs.work import Config, Job, Names, Work

COUNTED = work_of_networks.COUNTED | work_of_studies.COUNTED


def work_of(config: Config, rule: str, names: Names) -> Work:
    """What a job of a rule has to do; nothing for rules that cost the same whatever they are asked.

    Args:
        config: resolved configuration. rule: its name. names: the job's wildcards.
    """
    counted = COUNTED.get(rule)
    return Work() if counted is None else counted(Job(config, names))
