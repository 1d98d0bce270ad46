rule attack:
    input:
        data=data_path("{dataset}"),
        model=model_path("{dataset}", "{model}"),
    output:
        cell("attacks"),
    params:
        spec=spec_of("attacks", "dataset", "model", "attack"),
        device=configured_device,
    log:
        "logs/attacks/{dataset}/{model}/{attack}.log",
    benchmark:
        "results/benchmarks/attacks/{dataset}/{model}/{attack}.tsv"
    threads: settings["threads"]
    resources:
        gpu=1,
        mem_mb=4000,
        runtime=60,
    conda:
        "../envs/torch.yaml"
    script:
        "../scripts/attack/generate.py"
