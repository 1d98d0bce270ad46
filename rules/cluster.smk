# Included last. Clusters that hand out GPUs by `--gres` alone say so in their profile, by the default resource
# `gpu_gres` (such as `gpu:1` or `gpu:a100:1`): jobs that ask for a GPU then ask in that way, and not by `--gpus`.
for asking in workflow.rules:
    if "gpu" in asking.resources and "gpu_gres" in asking.resources:
        request = asking.resources["gpu_gres"].value
        asking.resources["gres"] = lambda wildcards, request=request: (
            request if GPUS(wildcards) else ""
        )
        asking.resources["gpu"] = 0
