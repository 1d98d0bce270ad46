rule measure_natural:
    input:
        data=data_path("{dataset}"),
        model=model_path("{dataset}", "{model}"),
    output:
        natural_path("{dataset}", "{model}", "{images}"),
    log:
        "logs/natural/{dataset}/{model}/{images}.log",
    benchmark:
        "results/benchmarks/natural/{dataset}/{model}/{images}.tsv"
    wildcard_constraints:
        images="[1-9][0-9]*",
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        gpu=GPUS,
        mem_mb=memory_of("measure_natural", gpu=True),
        runtime=time_of("measure_natural"),
    params:
        spec=spec_of("natural", "dataset", "model", "images"),
        device=configured_device,
    script:
        "../scripts/persistence/measure_natural.py"


rule bracket_persistence:
    input:
        model=model_path("{dataset}", "{model}"),
        attack=cell("attacks"),
        natural=natural_of_attack,
    output:
        cell("persistence"),
    log:
        "logs/persistence/{dataset}/{model}/{attack}.log",
    benchmark:
        "results/benchmarks/persistence/{dataset}/{model}/{attack}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        gpu=GPUS,
        mem_mb=memory_of("bracket_persistence", gpu=True),
        runtime=time_of("bracket_persistence"),
    params:
        spec=spec_of("persistence", "dataset", "model", "attack"),
        device=configured_device,
    script:
        "../scripts/persistence/bracket.py"


rule sweep_stability:
    input:
        model=model_path("{dataset}", "{model}"),
        attack=cell("attacks"),
    output:
        cell("stability"),
    log:
        "logs/stability/{dataset}/{model}/{attack}.log",
    benchmark:
        "results/benchmarks/stability/{dataset}/{model}/{attack}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        gpu=GPUS,
        mem_mb=memory_of("sweep_stability", gpu=True),
        runtime=time_of("sweep_stability"),
    params:
        spec=spec_of("stability", "dataset", "model", "attack"),
        device=configured_device,
    script:
        "../scripts/persistence/sweep.py"


rule compare_sides:
    input:
        data=data_path("{dataset}"),
        model=model_path("{dataset}", "{model}"),
        attack=cell("attacks"),
    output:
        cell("asymmetry"),
    log:
        "logs/asymmetry/{dataset}/{model}/{attack}.log",
    benchmark:
        "results/benchmarks/asymmetry/{dataset}/{model}/{attack}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        gpu=GPUS,
        mem_mb=memory_of("compare_sides", gpu=True),
        runtime=time_of("compare_sides"),
    params:
        spec=spec_of("asymmetry", "dataset", "model", "attack"),
        device=configured_device,
    script:
        "../scripts/persistence/compare_sides.py"


rule vary_sampling:
    input:
        data=data_path("{dataset}"),
        model=model_path("{dataset}", "{model}"),
        attack=cell("attacks"),
    output:
        cell("sensitivity"),
    log:
        "logs/sensitivity/{dataset}/{model}/{attack}.log",
    benchmark:
        "results/benchmarks/sensitivity/{dataset}/{model}/{attack}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        gpu=GPUS,
        mem_mb=memory_of("vary_sampling", gpu=True),
        runtime=time_of("vary_sampling"),
    params:
        spec=spec_of("sensitivity", "dataset", "model", "attack"),
        device=configured_device,
    script:
        "../scripts/persistence/vary.py"
