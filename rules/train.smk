rule train:
    input:
        data=data_path("{dataset}"),
    output:
        model_path("{dataset}", "{model}"),
    log:
        "logs/models/{dataset}/{model}.log",
    benchmark:
        "results/benchmarks/models/{dataset}/{model}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        gpu=GPUS,
        mem_mb=4000,
        runtime=60,
    params:
        spec=spec_of("models", "dataset", "model"),
        device=configured_device,
    script:
        "../scripts/train/train.py"
