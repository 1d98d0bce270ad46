rule draw_max_logits:
    input:
        distributions=study_input("distributions"),
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/max_logits.rst",
            category="Seguin: logits",
            labels={"artefact": "{artefact}: largest logits over epochs"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("max_logits"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_max_logits"),
        runtime=time_of("draw_max_logits"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/max_logits.py"


rule draw_logit_gaps:
    input:
        distributions=study_input("distributions"),
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/logit_gaps.rst",
            category="Seguin: logits",
            labels={"artefact": "{artefact}: logit gaps and robustness"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("logit_gaps"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_logit_gaps"),
        runtime=time_of("draw_logit_gaps"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/logit_gaps.py"


rule draw_gap_epochs:
    input:
        distributions=study_input("distributions"),
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/gap_epochs.rst",
            category="Seguin: logits",
            labels={"artefact": "{artefact}: logit gaps over epochs"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("gap_epochs"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_gap_epochs"),
        runtime=time_of("draw_gap_epochs"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/gap_epochs.py"


rule draw_network_disagreement:
    input:
        images=study_input("images"),
        answers=study_input("answers"),
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/network_disagreement.rst",
            category="Seguin: logits",
            labels={"artefact": "{artefact}: where networks disagree"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("network_disagreement"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_network_disagreement"),
        runtime=time_of("draw_network_disagreement"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/network_disagreement.py"


rule draw_confident_images:
    input:
        images=study_input("images"),
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/confident_images.rst",
            category="Seguin: logits",
            labels={"artefact": "{artefact}: images that networks are sure of"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("confident_images"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_confident_images"),
        runtime=time_of("draw_confident_images"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/confident_images.py"


rule draw_nearest_by_logits:
    input:
        images=study_input("images"),
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/nearest_by_logits.rst",
            category="Seguin: logits",
            labels={"artefact": "{artefact}: nearest images by logits"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("nearest_by_logits"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_nearest_by_logits"),
        runtime=time_of("draw_nearest_by_logits"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/nearest_by_logits.py"


rule draw_overlap:
    input:
        answers=study_input("answers"),
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/overlap.rst",
            category="Seguin: logits",
            labels={"artefact": "{artefact}: overlap of likely classes"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("overlap"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_overlap"),
        runtime=time_of("draw_overlap"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/overlap.py"


rule draw_manipulated_logits:
    input:
        targets=study_input("targets"),
        students=study_input("students"),
        robustness=study_input("robustness"),
        teacher=study_input("teacher"),
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/manipulated_logits.rst",
            category="Seguin: logits",
            labels={"artefact": "{artefact}: students of manipulated logits"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("manipulated_logits"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_manipulated_logits"),
        runtime=time_of("draw_manipulated_logits"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/manipulated_logits.py"


rule draw_teacher_epochs:
    input:
        students=study_input("students"),
        teachers=study_input("teachers"),
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/teacher_epochs.rst",
            category="Seguin: logits",
            labels={"artefact": "{artefact}: students by the teacher's epoch"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("teacher_epochs"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_teacher_epochs"),
        runtime=time_of("draw_teacher_epochs"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/teacher_epochs.py"


rule draw_distillation_losses:
    input:
        robustness=study_input("robustness"),
        students=study_input("students"),
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/distillation_losses.rst",
            category="Seguin: logits",
            labels={"artefact": "{artefact}: students by their loss"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("distillation_losses"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_distillation_losses"),
        runtime=time_of("draw_distillation_losses"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/distillation_losses.py"


rule tabulate_logit_accuracies:
    input:
        robustness=study_table_input,
    output:
        report(
            "results/tables/{artefact}.csv",
            caption="../report/logit_accuracies.rst",
            category="Seguin: logits",
            labels={"artefact": "{artefact}: accuracies, natural and adversarial"},
        ),
    log:
        "logs/tables/{artefact}.log",
    benchmark:
        "results/benchmarks/tables/{artefact}.tsv"
    wildcard_constraints:
        artefact=one_of(tables_of(settings, "logit_accuracies")),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("tabulate_logit_accuracies"),
        runtime=time_of("tabulate_logit_accuracies"),
    params:
        spec=table_param,
        published=published_numbers,
    script:
        "../scripts/tables/logit_accuracies.py"


rule tabulate_training_times:
    input:
        times=study_table_input,
    output:
        report(
            "results/tables/{artefact}.csv",
            caption="../report/training_times.rst",
            category="Seguin: logits",
            labels={"artefact": "{artefact}: wall times of training"},
        ),
    log:
        "logs/tables/{artefact}.log",
    benchmark:
        "results/benchmarks/tables/{artefact}.tsv"
    wildcard_constraints:
        artefact=one_of(tables_of(settings, "training_times")),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("tabulate_training_times"),
        runtime=time_of("tabulate_training_times"),
    params:
        spec=table_param,
        published=published_numbers,
    script:
        "../scripts/tables/training_times.py"
