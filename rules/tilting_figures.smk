rule draw_toy_images:
    input:
        toy=SINGLE["toy"],
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/toy_images.rst",
            category="Tanay: boundary tilting",
            labels={"artefact": "{artefact}: toy problem, images"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("toy_images"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_toy_images"),
        runtime=time_of("draw_toy_images"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/toy_images.py"


rule draw_toy_planes:
    input:
        toy=SINGLE["toy"],
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/toy_planes.rst",
            category="Tanay: boundary tilting",
            labels={"artefact": "{artefact}: toy problem, boundaries"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("toy_planes"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_toy_planes"),
        runtime=time_of("draw_toy_planes"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/toy_planes.py"


rule draw_tilted_digits:
    input:
        tilting=pair_input,
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/tilted_digits.rst",
            category="Tanay: boundary tilting",
            labels={
                "artefact": "{artefact}: a linear classifier's adversarial digits"
            },
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("tilted_digits"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_tilted_digits"),
        runtime=time_of("draw_tilted_digits"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/tilted_digits.py"


rule draw_tilting_plane:
    input:
        tilting=pair_input,
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/tilting_plane.rst",
            category="Tanay: boundary tilting",
            labels={"artefact": "{artefact}: tilting plane"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("tilting_plane"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_tilting_plane"),
        runtime=time_of("draw_tilting_plane"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/tilting_plane.py"


rule draw_tilting_path:
    input:
        tilting=pair_input,
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/tilting_path.rst",
            category="Tanay: boundary tilting",
            labels={"artefact": "{artefact}: tilting plane over lambda"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("tilting_path"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_tilting_path"),
        runtime=time_of("draw_tilting_path"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/tilting_path.py"


rule draw_tilting_rotation:
    input:
        tilting=pair_input,
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/tilting_rotation.rst",
            category="Tanay: boundary tilting",
            labels={"artefact": "{artefact}: rotation of the boundary"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("tilting_rotation"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_tilting_rotation"),
        runtime=time_of("draw_tilting_rotation"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/tilting_rotation.py"


rule draw_tilting_atlas:
    input:
        tilting=atlas_input,
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/tilting_atlas.rst",
            category="Tanay: boundary tilting",
            labels={"artefact": "{artefact}: all pairs over lambda"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("tilting_atlas"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_tilting_atlas"),
        runtime=time_of("draw_tilting_atlas"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/tilting_atlas.py"


rule draw_weight_decay:
    input:
        decay=decay_path(settings["weight_decay"]["dataset"]),
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/weight_decay.rst",
            category="Tanay: boundary tilting",
            labels={"artefact": "{artefact}: weight penalty of a CNN"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("weight_decay"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_weight_decay"),
        runtime=time_of("draw_weight_decay"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/weight_decay.py"


rule write_tilting_page:
    input:
        tilting=pair_input,
    output:
        report(
            "results/figures/{artefact}.html",
            caption="../report/tilting_page.rst",
            category="Tanay: boundary tilting",
            labels={"artefact": "{artefact}: move lambda"},
        ),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("tilting_page"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("write_tilting_page"),
        runtime=time_of("write_tilting_page"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/pages/tilting_path.py"


rule write_rotation_page:
    input:
        tilting=pair_input,
    output:
        report(
            "results/figures/{artefact}.html",
            caption="../report/rotation_page.rst",
            category="Tanay: boundary tilting",
            labels={"artefact": "{artefact}: turn the boundaries"},
        ),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("rotation_page"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("write_rotation_page"),
        runtime=time_of("write_rotation_page"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/pages/tilting_rotation.py"


rule tabulate_atlas:
    input:
        tilting=atlas_input,
    output:
        report(
            "results/tables/{artefact}.csv",
            caption="../report/tilting_tables.rst",
            category="Tanay: boundary tilting",
            labels={"artefact": "{artefact}: pairs over lambda"},
        ),
    log:
        "logs/tables/{artefact}.log",
    benchmark:
        "results/benchmarks/tables/{artefact}.tsv"
    wildcard_constraints:
        artefact=one_of(tables_of(settings, "tilting_atlas")),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("tabulate_atlas"),
        runtime=time_of("tabulate_atlas"),
    params:
        spec=table_param,
    script:
        "../scripts/tables/tilting_atlas.py"


rule tabulate_residuals:
    input:
        tilting=atlas_input,
    output:
        report(
            "results/tables/{artefact}.csv",
            caption="../report/tilting_tables.rst",
            category="Tanay: boundary tilting",
            labels={"artefact": "{artefact}: closed form against measured distance"},
        ),
    log:
        "logs/tables/{artefact}.log",
    benchmark:
        "results/benchmarks/tables/{artefact}.tsv"
    wildcard_constraints:
        artefact=one_of(tables_of(settings, "tilting_residuals")),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("tabulate_residuals"),
        runtime=time_of("tabulate_residuals"),
    params:
        spec=table_param,
    script:
        "../scripts/tables/tilting_residuals.py"
