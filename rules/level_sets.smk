rule decompose_boundary:
    input:
        data=data_path("{dataset}"),
        model=model_path("{dataset}", "{model}"),
        attack=cell("attacks"),
    output:
        cell("spectra"),
    log:
        "logs/spectra/{dataset}/{model}/{attack}.log",
    benchmark:
        "results/benchmarks/spectra/{dataset}/{model}/{attack}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        gpu=GPUS,
        mem_mb=memory_of("decompose_boundary", gpu=True),
        runtime=time_of("decompose_boundary"),
    params:
        spec=spec_of("spectra", "dataset", "model", "attack"),
        device=configured_device,
    script:
        "../scripts/boundary/decompose.py"


rule measure_level_sets:
    input:
        data=data_path("{dataset}"),
        model=model_path("{dataset}", "{model}"),
        attack=cell("attacks"),
    output:
        cell("level_sets"),
    log:
        "logs/level_sets/{dataset}/{model}/{attack}.log",
    benchmark:
        "results/benchmarks/level_sets/{dataset}/{model}/{attack}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        gpu=GPUS,
        mem_mb=memory_of("measure_level_sets", gpu=True),
        runtime=time_of("measure_level_sets"),
    params:
        spec=spec_of("level_sets", "dataset", "model", "attack"),
        device=configured_device,
    script:
        "../scripts/boundary/measure_level_sets.py"


rule draw_boundary_spectra:
    input:
        spectra=entry_input("spectra"),
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/boundary_spectra.rst",
            category="Bell, Part III: decision boundaries",
            labels={"artefact": "{artefact}: singular values at the boundary"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("boundary_spectra"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_boundary_spectra"),
        runtime=time_of("draw_boundary_spectra"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/boundary_spectra.py"


rule draw_boundary_classes:
    input:
        level_sets=entry_input("level_sets"),
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/boundary_classes.rst",
            category="Bell, Part III: decision boundaries",
            labels={"artefact": "{artefact}: classes that meet, and paths"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("boundary_classes"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_boundary_classes"),
        runtime=time_of("draw_boundary_classes"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/boundary_classes.py"
