rule train:
    input:
        data=data_path("{dataset}"),
    output:
        model_path("{dataset}", "{model}"),
    params:
        spec=spec_of("models", "dataset", "model"),
        device=configured_device,
    log:
        "logs/models/{dataset}/{model}.log",
    benchmark:
        "results/benchmarks/models/{dataset}/{model}.tsv"
    threads: settings["threads"]
    resources:
        gpu=1,
        mem_mb=4000,
        runtime=60,
    conda:
        "../envs/torch.yaml"
    script:
        "../scripts/train/train.py"
