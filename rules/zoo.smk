rule trace_dropout:
    input:
        data=data_path("{dataset}"),
        model=model_path("{dataset}", "{model}"),
        attack=cell("attacks"),
    output:
        cell("dropout"),
    log:
        "logs/dropout/{dataset}/{model}/{attack}.log",
    benchmark:
        "results/benchmarks/dropout/{dataset}/{model}/{attack}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        gpu=GPUS,
        mem_mb=memory_of("trace_dropout", gpu=True),
        runtime=time_of("trace_dropout"),
    params:
        spec=spec_of("dropout", "dataset", "model", "attack"),
        device=configured_device,
    script:
        "../scripts/boundary/trace_dropout.py"


rule compare_networks:
    input:
        data=data_path("{dataset}"),
        models=zoo_models,
    output:
        zoo_path("{dataset}"),
    log:
        "logs/zoo/{dataset}.log",
    benchmark:
        "results/benchmarks/zoo/{dataset}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        gpu=GPUS,
        mem_mb=memory_of("compare_networks", gpu=True),
        runtime=time_of("compare_networks"),
    params:
        spec=spec_of("zoo", "dataset"),
        device=configured_device,
    script:
        "../scripts/boundary/compare_networks.py"


rule draw_dropout_crossings:
    input:
        dropout=entry_input("dropout"),
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/dropout_crossings.rst",
            category="Bell, Part II: path kernel",
            labels={"artefact": "{artefact}: changes of class under dropout"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("dropout_crossings"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_dropout_crossings"),
        runtime=time_of("draw_dropout_crossings"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/dropout_crossings.py"


rule draw_zoo:
    input:
        zoo=zoo_path(settings["zoo"]["dataset"]),
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/zoo.rst",
            category="Bell, Part II: path kernel",
            labels={"artefact": "{artefact}: networks trained for robustness"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("zoo"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_zoo"),
        runtime=time_of("draw_zoo"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/zoo.py"
