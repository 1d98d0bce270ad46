rule evaluate_logit_model:
    output:
        SINGLE["logit_surfaces"],
    log:
        "logs/logit_surfaces.log",
    benchmark:
        "results/benchmarks/logit_surfaces.tsv"
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        mem_mb=memory_of("evaluate_logit_model"),
        runtime=time_of("evaluate_logit_model"),
    params:
        spec=spec_of("logit_surfaces"),
    script:
        "../scripts/logit_model/evaluate.py"


rule measure_logit_response:
    input:
        unpack(named_input("logit_model")),
    output:
        "results/logit_model/{group}/{name}.h5",
    log:
        "logs/logit_model/{group}/{name}.log",
    benchmark:
        "results/benchmarks/logit_model/{group}/{name}.tsv"
    wildcard_constraints:
        name=one_of(settings["logit_model"]["networks"]),
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        gpu=GPUS,
        mem_mb=memory_of("measure_logit_response", gpu=True),
        runtime=time_of("measure_logit_response"),
    params:
        spec=spec_of("logit_model", "group", "name"),
        device=configured_device,
    script:
        "../scripts/logit_model/respond.py"


rule draw_surrogate_logits:
    input:
        model=SINGLE["logit_surfaces"],
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/surrogate_logits.rst",
            category="Seguin: logits",
            labels={"artefact": "{artefact}: logits of the analytic model"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("surrogate_logits"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_surrogate_logits"),
        runtime=time_of("draw_surrogate_logits"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/surrogate_logits.py"


rule draw_loss_surface:
    input:
        model=SINGLE["logit_surfaces"],
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/loss_surface.rst",
            category="Seguin: logits",
            labels={"artefact": "{artefact}: loss of the analytic model"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("loss_surface"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_loss_surface"),
        runtime=time_of("draw_loss_surface"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/loss_surface.py"


rule draw_gap_response:
    input:
        model=SINGLE["logit_surfaces"],
        responses=named_results("logit_model", "figures"),
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/gap_response.rst",
            category="Seguin: logits",
            labels={"artefact": "{artefact}: change of logit gaps under a step"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("gap_response"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_gap_response"),
        runtime=time_of("draw_gap_response"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/gap_response.py"


rule tabulate_logit_model:
    input:
        model=SINGLE["logit_surfaces"],
        responses=named_results("logit_model", "tables"),
    output:
        report(
            "results/tables/{artefact}.csv",
            caption="../report/logit_model.rst",
            category="Seguin: logits",
            labels={"artefact": "{artefact}: the analytic model, printed and derived"},
        ),
    log:
        "logs/tables/{artefact}.log",
    benchmark:
        "results/benchmarks/tables/{artefact}.tsv"
    wildcard_constraints:
        artefact=one_of(tables_of(settings, "logit_model")),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("tabulate_logit_model"),
        runtime=time_of("tabulate_logit_model"),
    params:
        spec=table_param,
    script:
        "../scripts/tables/logit_model.py"
