rule draw_kernel_values:
    input:
        kernel=kernel_input,
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/kernel_values.rst",
            category="Bell, Part II: path kernel",
            labels={
                "artefact": "{artefact}: kernel of single points with the training set"
            },
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("kernel_values"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_kernel_values"),
        runtime=time_of("draw_kernel_values"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/kernel_values.py"


rule draw_kernel_neighbours:
    input:
        kernel=kernel_input,
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/kernel_neighbours.rst",
            category="Bell, Part II: path kernel",
            labels={
                "artefact": "{artefact}: nearest training images in kernel and in pixel space"
            },
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("kernel_neighbours"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_kernel_neighbours"),
        runtime=time_of("draw_kernel_neighbours"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/kernel_neighbours.py"


rule draw_kernel_detection:
    input:
        kernel=kernel_input,
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/kernel_detection.rst",
            category="Bell, Part II: path kernel",
            labels={
                "artefact": "{artefact}: foreign and adversarial points by the kernel"
            },
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("kernel_detection"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_kernel_detection"),
        runtime=time_of("draw_kernel_detection"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/kernel_detection.py"


rule draw_kernel_map:
    input:
        kernel=kernel_input,
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/kernel_map.rst",
            category="Bell, Part II: path kernel",
            labels={"artefact": "{artefact}: the kernel from place to place"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("kernel_map"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_kernel_map"),
        runtime=time_of("draw_kernel_map"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/kernel_map.py"


rule draw_kernel_convergence:
    input:
        kernel=kernel_input,
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/kernel_convergence.rst",
            category="Bell, Part II: path kernel",
            labels={"artefact": "{artefact}: residual against nodes and step size"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("kernel_convergence"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_kernel_convergence"),
        runtime=time_of("draw_kernel_convergence"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/kernel_convergence.py"


rule draw_kernel_signs:
    input:
        kernel=kernel_input,
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/kernel_signs.rst",
            category="Bell, Part II: path kernel",
            labels={"artefact": "{artefact}: signs of the coefficients"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("kernel_signs"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_kernel_signs"),
        runtime=time_of("draw_kernel_signs"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/kernel_signs.py"


rule draw_kernel_relations:
    input:
        kernel=kernel_input,
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/kernel_relations.rst",
            category="Bell, Part II: path kernel",
            labels={
                "artefact": "{artefact}: the kernel against hulls and tangent kernels"
            },
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("kernel_relations"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_kernel_relations"),
        runtime=time_of("draw_kernel_relations"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/kernel_relations.py"
