rule draw_cone_views:
    input:
        cones=SINGLE["cones"],
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/cone_views.rst",
            category="Bell, Part I: persistence",
            labels={"artefact": "{artefact}: cones around a point"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("cone_views"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_cone_views"),
        runtime=time_of("draw_cone_views"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/cone_views.py"


rule draw_cone_persistence:
    input:
        cones=SINGLE["cones"],
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/cone_persistence.rst",
            category="Bell, Part I: persistence",
            labels={"artefact": "{artefact}: persistence inside and outside cones"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("cone_persistence"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_cone_persistence"),
        runtime=time_of("draw_cone_persistence"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/cone_persistence.py"


rule draw_norms:
    input:
        norms=SINGLE["norms"],
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/norms.rst",
            category="Bell, Part I: persistence",
            labels={"artefact": "{artefact}: norms of Gaussian and ball"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("norms"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_norms"),
        runtime=time_of("draw_norms"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/norms.py"
