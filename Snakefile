configfile: f"{workflow.basedir}/config.yaml"


report: "report/workflow.rst"


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/train.smk"
include: "rules/attack.smk"
include: "rules/persistence.smk"
include: "rules/interpolation.smk"
include: "rules/boundary.smk"
include: "rules/path_kernel.smk"
include: "rules/path_geometry.smk"
include: "rules/boundary_voronoi.smk"
include: "rules/cones.smk"
include: "rules/wedges.smk"
include: "rules/zoo.smk"
include: "rules/logits.smk"
include: "rules/logit_model.smk"
include: "rules/manifolds.smk"
include: "rules/sensitivity.smk"
include: "rules/tilting.smk"
include: "rules/figures.smk"
include: "rules/cone_figures.smk"
include: "rules/kernel_figures.smk"
include: "rules/tilting_figures.smk"
include: "rules/level_sets.smk"
include: "rules/logit_figures.smk"
include: "rules/tables.smk"
include: "rules/claims.smk"
include: "rules/provenance.smk"
include: "rules/cluster.smk"


rule all:
    default_target: True
    input:
        result_paths(settings),
        artefact_paths(settings),
        beside_paths(settings),
        CLAIMS,
        CLAIM_LIMITS,
        CLAIM_PICTURES,
        BESIDE_CLAIMS,


rule persistence:
    input:
        measured_paths(settings, "persistence"),


rule stability:
    input:
        measured_paths(settings, "stability"),


rule interpolation:
    input:
        measured_paths(settings, "interpolation"),


rule path_kernel:
    input:
        kernel_paths(settings),


rule bell:
    input:
        artefact_paths(settings, "bell"),
        beside_paths(settings, "bell"),


rule note:
    input:
        artefact_paths(settings, "note"),
        beside_paths(settings, "note"),


rule tanay:
    input:
        artefact_paths(settings, "tanay"),
        beside_paths(settings, "tanay"),


rule seguin:
    input:
        artefact_paths(settings, "seguin"),
        beside_paths(settings, "seguin"),


rule tanay_atlas:
    input:
        atlas_artefacts(settings),


localrules:
    all,
    persistence,
    stability,
    interpolation,
    path_kernel,
    bell,
    note,
    tanay,
    tanay_atlas,
    seguin,
