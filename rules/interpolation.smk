rule trace_interpolation:
    input:
        model=model_path("{dataset}", "{model}"),
        attack=cell("attacks"),
    output:
        cell("interpolation"),
    log:
        "logs/interpolation/{dataset}/{model}/{attack}.log",
    benchmark:
        "results/benchmarks/interpolation/{dataset}/{model}/{attack}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        gpu=GPUS,
        mem_mb=memory_of("trace_interpolation", gpu=True),
        runtime=time_of("trace_interpolation"),
    params:
        spec=spec_of("interpolation", "dataset", "model", "attack"),
        device=configured_device,
    script:
        "../scripts/interpolation/trace.py"
