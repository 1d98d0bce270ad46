rule trace_tilting:
    input:
        data=data_path("{dataset}"),
    output:
        tilting_path("{dataset}", "{pair}"),
    log:
        "logs/tilting/{dataset}/{pair}.log",
    benchmark:
        "results/benchmarks/tilting/{dataset}/{pair}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        mem_mb=memory_of("trace_tilting"),
        runtime=time_of("trace_tilting"),
    params:
        spec=spec_of("tilting", "dataset", "pair"),
    script:
        "../scripts/tilting/trace_path.py"


rule build_toy:
    output:
        SINGLE["toy"],
    log:
        "logs/tilting/toy.log",
    benchmark:
        "results/benchmarks/tilting/toy.tsv"
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        mem_mb=memory_of("build_toy"),
        runtime=time_of("build_toy"),
    params:
        spec=spec_of("toy"),
    script:
        "../scripts/tilting/build_toy.py"


rule decay_weights:
    input:
        data=data_path("{dataset}"),
    output:
        decay_path("{dataset}"),
    log:
        "logs/weight_decay/{dataset}.log",
    benchmark:
        "results/benchmarks/weight_decay/{dataset}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        gpu=GPUS,
        mem_mb=memory_of("decay_weights", gpu=True),
        runtime=time_of("decay_weights"),
    params:
        spec=spec_of("weight_decay", "dataset"),
        device=configured_device,
    script:
        "../scripts/tilting/decay_weights.py"
