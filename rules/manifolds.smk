rule measure_manifolds:
    input:
        unpack(named_input("manifolds")),
    output:
        "results/manifolds/{group}/{name}.h5",
    log:
        "logs/manifolds/{group}/{name}.log",
    benchmark:
        "results/benchmarks/manifolds/{group}/{name}.tsv"
    wildcard_constraints:
        name=one_of(settings["manifolds"]["networks"]),
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        gpu=GPUS,
        mem_mb=memory_of("measure_manifolds", gpu=True),
        runtime=time_of("measure_manifolds"),
    params:
        spec=spec_of("manifolds", "group", "name"),
        device=configured_device,
    script:
        "../scripts/manifolds/measure.py"


rule measure_capacities:
    output:
        SINGLE["capacities"],
    log:
        "logs/capacities.log",
    benchmark:
        "results/benchmarks/capacities.tsv"
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        mem_mb=memory_of("measure_capacities"),
        runtime=time_of("measure_capacities"),
    params:
        spec=spec_of("capacities"),
    script:
        "../scripts/manifolds/measure_capacities.py"


rule draw_manifold_layers:
    input:
        manifolds=named_results("manifolds", "figures"),
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/manifold_layers.rst",
            category="Seguin: logits",
            labels={"artefact": "{artefact}: manifolds over layers"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("manifold_layers"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_manifold_layers"),
        runtime=time_of("draw_manifold_layers"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/manifold_layers.py"


rule draw_manifold_capacity:
    input:
        manifolds=named_results("manifolds", "figures"),
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/manifold_capacity.rst",
            category="Seguin: logits",
            labels={"artefact": "{artefact}: capacity, theory and simulation"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("manifold_capacity"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_manifold_capacity"),
        runtime=time_of("draw_manifold_capacity"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/manifold_capacity.py"
