rule bracket_persistence:
    input:
        data=data_path("{dataset}"),
        model=model_path("{dataset}", "{model}"),
        attack=cell("attacks"),
    output:
        cell("persistence"),
    params:
        spec=spec_of("persistence", "dataset", "model", "attack"),
        device=configured_device,
    log:
        "logs/persistence/{dataset}/{model}/{attack}.log",
    benchmark:
        "results/benchmarks/persistence/{dataset}/{model}/{attack}.tsv"
    threads: settings["threads"]
    resources:
        gpu=1,
        mem_mb=4000,
        runtime=120,
    conda:
        "../envs/torch.yaml"
    script:
        "../scripts/persistence/bracket.py"


rule sweep_stability:
    input:
        model=model_path("{dataset}", "{model}"),
        attack=cell("attacks"),
    output:
        cell("stability"),
    params:
        spec=spec_of("stability", "dataset", "model", "attack"),
        device=configured_device,
    log:
        "logs/stability/{dataset}/{model}/{attack}.log",
    benchmark:
        "results/benchmarks/stability/{dataset}/{model}/{attack}.tsv"
    threads: settings["threads"]
    resources:
        gpu=1,
        mem_mb=4000,
        runtime=120,
    conda:
        "../envs/torch.yaml"
    script:
        "../scripts/persistence/sweep.py"
