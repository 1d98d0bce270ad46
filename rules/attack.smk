rule attack:
    input:
        data=data_path("{dataset}"),
        model=model_path("{dataset}", "{model}"),
    output:
        cell("attacks"),
    log:
        "logs/attacks/{dataset}/{model}/{attack}.log",
    benchmark:
        ATTACK_TIMES
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        gpu=GPUS,
        mem_mb=memory_of("attack", gpu=True),
        runtime=time_of("attack"),
    params:
        spec=spec_of("attacks", "dataset", "model", "attack"),
        device=configured_device,
    script:
        "../scripts/attack/generate.py"
