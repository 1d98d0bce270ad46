configfile: f"{workflow.basedir}/config.yaml"


report: "report/workflow.rst"


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/train.smk"
include: "rules/attack.smk"
include: "rules/persistence.smk"
include: "rules/figures.smk"


rule all:
    default_target: True
    input:
        measured_paths(settings, "persistence"),
        measured_paths(settings, "stability"),
        figure_paths(settings),


rule persistence:
    input:
        measured_paths(settings, "persistence"),


rule stability:
    input:
        measured_paths(settings, "stability"),


rule bell:
    input:
        figure_paths(settings, "bell"),


localrules:
    all,
    persistence,
    stability,
    bell,
