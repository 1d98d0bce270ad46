rule draw_class_frequencies:
    input:
        stability=entry_input("stability"),
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/class_frequencies.rst",
            category="Bell, Part I: persistence",
            labels={"artefact": "{artefact}: class frequencies under growing noise"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("class_frequencies"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_class_frequencies"),
        runtime=time_of("draw_class_frequencies"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/class_frequencies.py"


rule draw_persistence_histogram:
    input:
        persistence=entry_input("persistence"),
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/persistence_histogram.rst",
            category="Bell, Part I: persistence",
            labels={
                "artefact": "{artefact}: persistence, natural against adversarial"
            },
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("persistence_histogram"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_persistence_histogram"),
        runtime=time_of("draw_persistence_histogram"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/persistence_histogram.py"


rule draw_persistence_along_line:
    input:
        interpolation=entry_input("interpolation"),
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/persistence_along_line.rst",
            category="Bell, Part I: persistence",
            labels={
                "artefact": "{artefact}: persistence between a natural and an adversarial image"
            },
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("persistence_along_line"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_persistence_along_line"),
        runtime=time_of("draw_persistence_along_line"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/persistence_along_line.py"


rule draw_kernel_agreement:
    input:
        kernel=kernel_input,
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/kernel_agreement.rst",
            category="Bell, Part II: path kernel",
            labels={"artefact": "{artefact}: kernel machine and network agree"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("kernel_agreement"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_kernel_agreement"),
        runtime=time_of("draw_kernel_agreement"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/kernel_agreement.py"


rule draw_class_frequencies_by_target:
    input:
        stability=entry_input("stability"),
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/class_frequencies_by_target.rst",
            category="Bell, Part I: persistence",
            labels={"artefact": "{artefact}: class frequencies around every target"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("class_frequencies_by_target"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_class_frequencies_by_target"),
        runtime=time_of("draw_class_frequencies_by_target"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/class_frequencies_by_target.py"


rule draw_class_frequencies_of_cells:
    input:
        stability=panel_inputs,
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/class_frequencies_of_cells.rst",
            category="Bell, Part I: persistence",
            labels={
                "artefact": "{artefact}: class frequencies of several networks and attacks"
            },
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("class_frequencies_of_cells"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_class_frequencies_of_cells"),
        runtime=time_of("draw_class_frequencies_of_cells"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/class_frequencies_of_cells.py"


rule draw_persistence_histograms:
    input:
        persistence=rows_input("persistence"),
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/persistence_histograms.rst",
            category="Bell, Part I: persistence",
            labels={"artefact": "{artefact}: persistence in several networks"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("persistence_histograms"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_persistence_histograms"),
        runtime=time_of("draw_persistence_histograms"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/persistence_histograms.py"


rule draw_adversarial_examples:
    input:
        attack=entry_input("attacks"),
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/adversarial_examples.rst",
            category="Bell, Part I: persistence",
            labels={
                "artefact": "{artefact}: adversarial images and their perturbations"
            },
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("adversarial_examples"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_adversarial_examples"),
        runtime=time_of("draw_adversarial_examples"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/adversarial_examples.py"


rule draw_distortion_histogram:
    input:
        attack=entry_input("attacks"),
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/distortion_histogram.rst",
            category="Bell, Part I: persistence",
            labels={"artefact": "{artefact}: distortion of adversarial images"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("distortion_histogram"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_distortion_histogram"),
        runtime=time_of("draw_distortion_histogram"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/distortion_histogram.py"


rule draw_asymmetry:
    input:
        asymmetry=entry_input("asymmetry"),
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/asymmetry.rst",
            category="Bell, Part I: persistence",
            labels={
                "artefact": "{artefact}: persistence against distance to the boundary"
            },
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("asymmetry"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_asymmetry"),
        runtime=time_of("draw_asymmetry"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/asymmetry.py"


rule draw_sensitivity:
    input:
        sensitivity=entry_input("sensitivity"),
        attacks=sensitivity_attacks("attacks"),
        persistence=sensitivity_attacks("persistence"),
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/sensitivity.rst",
            category="Bell, Part I: persistence",
            labels={
                "artefact": "{artefact}: persistence against gamma, noise and epsilon"
            },
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("sensitivity"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_sensitivity"),
        runtime=time_of("draw_sensitivity"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/sensitivity.py"
