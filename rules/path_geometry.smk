rule measure_geometry:
    input:
        data=kernel_data,
        path=kernel_path("{network}", "path"),
    output:
        kernel_path("{network}", "geometry"),
    log:
        "logs/path_kernel/{network}/geometry.log",
    benchmark:
        "results/benchmarks/path_kernel/{network}/geometry.tsv"
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        mem_mb=memory_of("measure_geometry"),
        runtime=time_of("measure_geometry"),
    params:
        spec=spec_of("path_geometry", "network"),
    script:
        "../scripts/path_kernel/measure_geometry.py"


rule rank_importance:
    input:
        data=kernel_data,
        path=kernel_path("{network}", "path"),
    output:
        kernel_path("{network}", "importance"),
    log:
        "logs/path_kernel/{network}/importance.log",
    benchmark:
        "results/benchmarks/path_kernel/{network}/importance.tsv"
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        mem_mb=memory_of("rank_importance"),
        runtime=time_of("rank_importance"),
    params:
        spec=spec_of("importance", "network"),
    script:
        "../scripts/path_kernel/rank_importance.py"


rule interpolate_weights:
    input:
        data=data_path("{dataset}"),
    output:
        interpolated_path("{dataset}", "{model}"),
    log:
        "logs/interpolated_weights/{dataset}/{model}.log",
    benchmark:
        "results/benchmarks/interpolated_weights/{dataset}/{model}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        gpu=GPUS,
        mem_mb=memory_of("interpolate_weights", gpu=True),
        runtime=time_of("interpolate_weights"),
    params:
        spec=spec_of("interpolated_weights", "dataset", "model"),
        device=configured_device,
    script:
        "../scripts/path_kernel/interpolate_weights.py"


rule draw_path_geometry:
    input:
        geometry=kernel_input,
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/path_geometry.rst",
            category="Bell, Part II: path kernel",
            labels={"artefact": "{artefact}: shape of the training path"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("path_geometry"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_path_geometry"),
        runtime=time_of("draw_path_geometry"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/path_geometry.py"


rule draw_sample_importance:
    input:
        importance=kernel_input,
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/sample_importance.rst",
            category="Bell, Part II: path kernel",
            labels={
                "artefact": "{artefact}: training images that predictions rest on"
            },
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("sample_importance"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_sample_importance"),
        runtime=time_of("draw_sample_importance"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/sample_importance.py"


rule draw_datamodeling_score:
    input:
        importance=kernel_input,
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/datamodeling_score.rst",
            category="Bell, Part II: path kernel",
            labels={"artefact": "{artefact}: importance against retraining"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("datamodeling_score"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_datamodeling_score"),
        runtime=time_of("draw_datamodeling_score"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/datamodeling_score.py"


rule draw_interpolated_weights:
    input:
        interpolated=interpolated_input,
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/interpolated_weights.rst",
            category="Bell, Part II: path kernel",
            labels={
                "artefact": "{artefact}: weights between start and end of training"
            },
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("interpolated_weights"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_interpolated_weights"),
        runtime=time_of("draw_interpolated_weights"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/interpolated_weights.py"
