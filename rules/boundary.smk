rule measure_boundary:
    input:
        data=data_path("{dataset}"),
        model=model_path("{dataset}", "{model}"),
        attack=cell("attacks"),
    output:
        cell("boundary"),
    log:
        "logs/boundary/{dataset}/{model}/{attack}.log",
    benchmark:
        "results/benchmarks/boundary/{dataset}/{model}/{attack}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        gpu=GPUS,
        mem_mb=memory_of("measure_boundary", gpu=True),
        runtime=time_of("measure_boundary"),
    params:
        spec=spec_of("boundary", "dataset", "model", "attack"),
        device=configured_device,
    script:
        "../scripts/boundary/measure.py"


rule draw_skewness:
    input:
        boundary=entry_input("boundary"),
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/skewness.rst",
            category="Bell, Part III: decision boundaries",
            labels={"artefact": "{artefact}: angles at which lines cross boundaries"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("skewness"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_skewness"),
        runtime=time_of("draw_skewness"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/skewness.py"


rule draw_normals:
    input:
        boundary=entry_input("boundary"),
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/normals.rst",
            category="Bell, Part III: decision boundaries",
            labels={
                "artefact": "{artefact}: normals, how they turn, principal directions"
            },
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("normals"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_normals"),
        runtime=time_of("draw_normals"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/normals.py"


rule draw_persistence_reexamined:
    input:
        boundary=entry_input("boundary"),
        interpolation=entry_input("interpolation"),
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/persistence_reexamined.rst",
            category="Bell, Part III: decision boundaries",
            labels={
                "artefact": "{artefact}: persistence, probabilities and images along a line"
            },
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("persistence_reexamined"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_persistence_reexamined"),
        runtime=time_of("draw_persistence_reexamined"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/persistence_reexamined.py"
