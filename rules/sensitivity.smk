rule decompose_sensitivity:
    input:
        data=data_path("{dataset}"),
        model=model_path("{dataset}", "{model}"),
        attack=cell("attacks"),
        natural=natural_of_attack,
    output:
        cell("factors"),
    log:
        "logs/factors/{dataset}/{model}/{attack}.log",
    benchmark:
        "results/benchmarks/factors/{dataset}/{model}/{attack}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        gpu=GPUS,
        mem_mb=memory_of("decompose_sensitivity", gpu=True),
        runtime=time_of("decompose_sensitivity"),
    params:
        spec=spec_of("factors", "dataset", "model", "attack"),
        device=configured_device,
    script:
        "../scripts/sensitivity/decompose.py"


rule draw_factors:
    input:
        factors=rows_input("factors"),
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/factors.rst",
            category="Note: sensitivity",
            labels={"artefact": "{artefact}: what moves with robustness"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("factors"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_factors"),
        runtime=time_of("draw_factors"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/factors.py"


rule draw_flatness:
    input:
        factors=entry_input("factors"),
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/flatness.rst",
            category="Note: sensitivity",
            labels={"artefact": "{artefact}: the loss around images"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("flatness"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_flatness"),
        runtime=time_of("draw_flatness"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/flatness.py"


rule draw_growth:
    input:
        factors=entry_input("factors"),
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/growth.rst",
            category="Note: sensitivity",
            labels={"artefact": "{artefact}: growth of perturbations by layer"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("growth"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_growth"),
        runtime=time_of("draw_growth"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/growth.py"
