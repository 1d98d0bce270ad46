import sys
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT))

from pipeline import guard
from pipeline.provenance import parsed_code
from pipeline.data.cifar import ARCHIVES
from pipeline.claims.rule import (
    CLAIM_LIMITS,
    CLAIMS,
    claim_inputs,
    claim_pictures,
    claims_figure_spec,
    claims_spec,
)
from pipeline.config.schema import ConfigError, resolve
from pipeline.provenance.content import file_content, names_and_sizes
from pipeline.costs.measured import Requests
from pipeline.running.devices import gpus_of_a_job
from pipeline.plan.catalogue import (
    PLOT_KERNEL,
    PUBLISHED,
    SINGLE,
)
from pipeline.plan.logit_studies import (
    network_files,
    networks_of,
    outputs_path,
    robustness_path,
    analysis_inputs,
    student_path,
    student_targets,
    study_path,
    target_path,
    teacher_path,
)
from pipeline.plan.named_networks import named_network, named_path, names_shown
from pipeline.plan.patterns import one_of
from pipeline.data.photos import photos_below
from pipeline.figures.scale import figure_scale
from pipeline.running.records import record_in_jobs
from pipeline.plan.study_artefacts import plot_inputs, table_inputs
from pipeline.plan.teachers import TEACHERS
from pipeline.plan.paths import (
    cell_path,
    data_path,
    decay_path,
    interpolated_path,
    kernel_path,
    model_path,
    natural_path,
    plane_path,
    tilting_path,
    zoo_path,
)
from pipeline.plan.selection import (
    atlas_artefacts,
    atlas_pairs,
    artefact_paths,
    artefacts_of,
    beside_formats,
    beside_paths,
    datasets_of,
    kernel_paths,
    measured_paths,
    models_published,
    models_to_train,
    models_with_weights,
    own_files,
    pair_paths,
    paired_attacks,
    result_paths,
    tables_of,
)
from pipeline.provenance.specs import (
    compute_spec,
    figure_spec,
    table_spec,
)

guard.announce(ROOT, main=workflow.is_main_process)
if not workflow.is_main_process:
    record_in_jobs()


# Handed to jobs also where a scheduler does not pass on the environment.
envvars:
    guard.RUN,


parsed_code.keep_in(Path(".snakemake", "parsed_code").absolute())

try:
    settings = resolve(config)
    guard.check_settings(settings)
except ConfigError as error:
    raise WorkflowError(*error.lines)
except guard.ChangedSettingsError as error:
    raise WorkflowError(str(error))

# Snakemake misses an input only where it would be read, and would show results of another file as those of this one.
if lost := [
    f"configuration: {key}: there is no file {file}"
    for key, file, result in own_files(settings)
    if Path(result).is_file() and not Path(file).is_file()
]:
    raise WorkflowError(*lost)


onstart:
    guard.take_over(settings)
    if workflow.local_exec:
        # Snakemake's limit of jobs a second looks at all ready jobs again a second after each time it looked, and each
        # job that ends begins another such chain: 130 looks a second after 180 jobs, a tenth of a core.
        workflow.scheduler.job_rate_limiter = None


wildcard_constraints:
    dataset="[A-Za-z0-9_-]+",
    network="[A-Za-z0-9_-]+",
    model="[A-Za-z0-9_-]+",
    attack="[A-Za-z0-9_-]+",
    pair="[0-9]+v[0-9]+",
    study="[A-Za-z0-9_-]+",
    teacher="|".join(TEACHERS),
    student="[A-Za-z0-9_-]+",
    judged="[A-Za-z0-9_-]+",
    group="[A-Za-z0-9_-]+",
    epoch="[0-9][0-9][0-9]+",
    seed="[0-9]+",


def spec_of(stage, *keys):
    """The param function that decides whether a job of a stage runs again."""
    return lambda wildcards: compute_spec(
        settings, ROOT, stage, *[wildcards[key] for key in keys]
    )


def configured_device(wildcards, input):
    # Snakemake does not compare a param that takes `input`: another device must not rerun anything.
    return settings["device"]


def configured_mirror(wildcards, input):
    # Not compared either: the files are the same wherever they come from.
    return settings["mirror"]


def photo_files(wildcards):
    # Every file, since a folder's own time tells nothing of what lies deeper in it.
    return photos_below(settings["datasets"][wildcards.dataset]["folder"])


def photo_content(wildcards):
    folder = settings["datasets"][wildcards.dataset]["folder"]
    return names_and_sizes(folder, photos_below(folder))


def own_content(section, wildcard, key):
    """The param function that sees a user's own file replaced, whatever its times say."""
    return lambda wildcards: file_content(settings[section][wildcards[wildcard]][key])


def photo_folder(wildcards, input):
    # Not compared: the photos that lie there are inputs.
    return settings["datasets"][wildcards.dataset]["folder"]


def on_cluster():
    # Known only when jobs are, as Snakemake picks its executor after it has read the rules.
    return workflow.remote_exec or workflow.non_local_exec


@cache
def gpus_to_ask_for(cluster):
    return gpus_of_a_job(settings["device"], cluster)


def GPUS(wildcards):
    """Jobs that can use a GPU ask for one where there is one; else they share the cores. Resources rerun nothing."""
    return gpus_to_ask_for(on_cluster())


# What jobs ask a scheduler for, by what jobs of their rules were measured to cost; more at each attempt.
requests = Requests(settings)


def memory_of(rule, gpu=False):
    return lambda wildcards, attempt: requests.memory_mb(rule, wildcards, attempt, gpu)


def time_of(rule):
    return lambda wildcards, attempt: requests.minutes(rule, wildcards, attempt)


# Times of attack jobs: results of their rule, which a table shows.
ATTACK_TIMES = "results/benchmarks/attacks/{dataset}/{model}/{attack}.tsv"


def cell(stage):
    return cell_path(stage, "{dataset}", "{model}", "{attack}")


def plots(kind):
    """Wildcard constraint of the artefacts that one kind of plot draws."""
    return one_of(artefacts_of(settings, kind))


def entry_input(stage):
    """Input function of figures: the result of a stage for the catalogue entry's cell."""

    def path(wildcards):
        entry = settings["figures"]["catalogue"][wildcards.artefact]
        return cell_path(stage, entry["dataset"], entry["model"], entry["attack"])

    return path


def natural_of_attack(wildcards):
    """Persistence of the natural images that a cell's attack is compared with."""
    images = settings["attacks"][wildcards.attack]["natural_images"]
    return natural_path(wildcards.dataset, wildcards.model, images)


def kernel_input(wildcards):
    entry = settings["figures"]["catalogue"][wildcards.artefact]
    return kernel_path(entry["network"], PLOT_KERNEL[entry["plot"]])


def kernel_data(wildcards):
    network = settings["path_kernel"]["networks"][wildcards.network]
    return data_path(network["dataset"])


def study_data(wildcards):
    return data_path(settings["logits"]["studies"][wildcards.study]["dataset"])


def teachers_of_study(wildcards):
    seeds = settings["logits"]["studies"][wildcards.study]["seeds"]
    return [teacher_path(wildcards.study, wildcards.teacher, seed) for seed in seeds]


def targets_of_student(wildcards):
    return student_targets(settings, wildcards.study, wildcards.student, wildcards.seed)


def judged_networks(wildcards):
    """Files of a student or a teacher, one a seed; the spec says which checkpoint counts."""
    return network_files(settings, wildcards.study, wildcards.judged)


def analysis_input(analysis):
    """Input function: what an analysis of a study's logits reads, by name."""
    return lambda wildcards: analysis_inputs(settings, wildcards.study, analysis)


def study_input(name):
    """Input function of figures of studies: what one of a figure's inputs is."""

    def paths(wildcards):
        entry = settings["figures"]["catalogue"][wildcards.artefact]
        return plot_inputs(settings, entry)[name]

    return paths


def study_table_input(wildcards):
    return table_inputs(settings, settings["tables"][wildcards.artefact])


def named_input(section):
    """Input function: a network that a section names, and its images."""

    def paths(wildcards):
        found = named_network(settings, section, wildcards.name)
        return {"data": found.data, "model": found.file}

    return paths


def named_results(section, catalogue):
    """Input function: results of a section for the networks that a figure or table shows."""

    def paths(wildcards):
        entries = (
            settings["tables"]
            if catalogue == "tables"
            else settings["figures"]["catalogue"]
        )
        names = names_shown(settings, section, entries[wildcards.artefact])
        return [named_path(settings, section, name) for name in names]

    return paths


def interpolated_input(wildcards):
    entry = settings["figures"]["catalogue"][wildcards.artefact]
    return interpolated_path(entry["dataset"], entry["model"])


def plane_input(wildcards):
    entry = settings["figures"]["catalogue"][wildcards.artefact]
    return plane_path(entry["dataset"], entry["model"])


def zoo_models(wildcards):
    models = settings["zoo"]["models"].values()
    return [model_path(wildcards.dataset, model) for model in models]


def pair_input(wildcards):
    entry = settings["figures"]["catalogue"][wildcards.artefact]
    return tilting_path(settings["tilting"]["dataset"], entry["classes"])


def atlas_input(wildcards):
    return pair_paths(settings, atlas_pairs(settings, wildcards.artefact))


def table_input(stage):
    """Input function of tables: the results of a stage for each row."""

    def paths(wildcards):
        entry = settings["tables"][wildcards.artefact]
        return [
            cell_path(stage, entry["dataset"], model, entry["attack"])
            for model in entry["rows"].values()
        ]

    return paths


def paired_input(stage):
    """Input function of tables: the results of a stage for each row and attack."""

    def paths(wildcards):
        entry = settings["tables"][wildcards.artefact]
        return [
            cell_path(stage, entry["dataset"], model, attack)
            for model in entry["rows"].values()
            for attack in paired_attacks(entry)
        ]

    return paths


def attack_times(wildcards):
    """What Snakemake measured of the jobs that made a table's attacks."""
    entry = settings["tables"][wildcards.artefact]
    return [
        ATTACK_TIMES.format(dataset=entry["dataset"], model=model, attack=attack)
        for model in entry["rows"].values()
        for attack in paired_attacks(entry)
    ]


def sensitivity_attacks(stage):
    """Input function: the results of a stage for each attack whose epsilon is compared."""

    def paths(wildcards):
        entry = settings["figures"]["catalogue"][wildcards.artefact]
        return [
            cell_path(stage, entry["dataset"], entry["model"], attack)
            for attack in entry["attacks"]
        ]

    return paths


def table_models(wildcards):
    entry = settings["tables"][wildcards.artefact]
    return [model_path(entry["dataset"], model) for model in entry["rows"].values()]


def panel_inputs(wildcards):
    entry = settings["figures"]["catalogue"][wildcards.artefact]
    return [
        cell_path("stability", entry["dataset"], panel["model"], panel["attack"])
        for panel in entry["panels"].values()
    ]


def rows_input(stage):
    """Input function of figures: the results of a stage for each row."""

    def paths(wildcards):
        entry = settings["figures"]["catalogue"][wildcards.artefact]
        return [
            cell_path(stage, entry["dataset"], model, entry["attack"])
            for model in entry["rows"].values()
        ]

    return paths


def checkout(wildcards, input):
    # Not compared: the ledger that lies there is part of the spec.
    return str(ROOT)


def published_numbers(wildcards, input):
    # Not compared: its content is part of the spec.
    return str(ROOT / PUBLISHED[settings["tables"][wildcards.artefact]["table"]])


def table_param(wildcards):
    return table_spec(settings, ROOT, wildcards.artefact)


def figure_param(wildcards):
    return figure_spec(settings, ROOT, wildcards.artefact)


def scale_in_words(wildcards, input):
    # For captions; not compared, as it follows from what the inputs are.
    return figure_scale(settings, wildcards.artefact)


def claims_param(wildcards):
    # A function, since the ledger is read for it, which jobs of a cluster need not do.
    return claims_spec(settings, ROOT)


def claims_input(wildcards):
    return claim_inputs(settings, ROOT)


def claims_figure_param(wildcards):
    return claims_figure_spec(settings, ROOT)


OTHER_FORMATS = beside_formats(settings)
CLAIM_PICTURES = claim_pictures(ROOT)
BESIDE_CLAIMS = [
    str(Path(picture).with_suffix(f".{kind}"))
    for picture in CLAIM_PICTURES
    for kind in OTHER_FORMATS
]
