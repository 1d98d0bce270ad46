rule train:
    input:
        data=data_path("{dataset}"),
    output:
        model_path("{dataset}", "{model}"),
    log:
        "logs/models/{dataset}/{model}.log",
    benchmark:
        "results/benchmarks/models/{dataset}/{model}.tsv"
    wildcard_constraints:
        model=one_of(models_to_train(settings)),
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        gpu=GPUS,
        mem_mb=memory_of("train", gpu=True),
        runtime=time_of("train"),
    params:
        spec=spec_of("models", "dataset", "model"),
        device=configured_device,
    script:
        "../scripts/train/train.py"


rule import_weights:
    input:
        data=data_path("{dataset}"),
        weights=lambda wildcards: settings["models"][wildcards.model]["weights"],
    output:
        model_path("{dataset}", "{model}"),
    log:
        "logs/models/{dataset}/{model}.log",
    benchmark:
        "results/benchmarks/models/{dataset}/{model}.tsv"
    wildcard_constraints:
        model=one_of(models_with_weights(settings)),
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        gpu=GPUS,
        mem_mb=memory_of("import_weights", gpu=True),
        runtime=time_of("import_weights"),
    params:
        spec=spec_of("models", "dataset", "model"),
        content=own_content("models", "model", "weights"),
        device=configured_device,
        mirror=configured_mirror,
    script:
        "../scripts/train/import_weights.py"


rule fetch_weights:
    input:
        data=data_path("{dataset}"),
    output:
        model_path("{dataset}", "{model}"),
    log:
        "logs/models/{dataset}/{model}.log",
    benchmark:
        "results/benchmarks/models/{dataset}/{model}.tsv"
    wildcard_constraints:
        model=one_of(models_published(settings)),
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        gpu=GPUS,
        mem_mb=memory_of("fetch_weights", gpu=True),
        runtime=time_of("fetch_weights"),
    params:
        spec=spec_of("models", "dataset", "model"),
        device=configured_device,
        mirror=configured_mirror,
    script:
        "../scripts/train/import_weights.py"
