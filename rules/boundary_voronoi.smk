rule compare_voronoi:
    input:
        data=data_path("{dataset}"),
        model=model_path("{dataset}", "{model}"),
        attack=cell("attacks"),
    output:
        cell("voronoi"),
    log:
        "logs/voronoi/{dataset}/{model}/{attack}.log",
    benchmark:
        "results/benchmarks/voronoi/{dataset}/{model}/{attack}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        gpu=GPUS,
        mem_mb=memory_of("compare_voronoi", gpu=True),
        runtime=time_of("compare_voronoi"),
    params:
        spec=spec_of("voronoi", "dataset", "model", "attack"),
        device=configured_device,
    script:
        "../scripts/boundary/compare_voronoi.py"


rule map_plane:
    input:
        data=data_path("{dataset}"),
        model=model_path("{dataset}", "{model}"),
    output:
        plane_path("{dataset}", "{model}"),
    log:
        "logs/plane/{dataset}/{model}.log",
    benchmark:
        "results/benchmarks/plane/{dataset}/{model}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        gpu=GPUS,
        mem_mb=memory_of("map_plane", gpu=True),
        runtime=time_of("map_plane"),
    params:
        spec=spec_of("plane", "dataset", "model"),
        device=configured_device,
    script:
        "../scripts/boundary/map_plane.py"


rule draw_voronoi_angles:
    input:
        voronoi=entry_input("voronoi"),
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/voronoi_angles.rst",
            category="Bell, Part III: decision boundaries",
            labels={"artefact": "{artefact}: angles at which lines cross"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("voronoi_angles"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_voronoi_angles"),
        runtime=time_of("draw_voronoi_angles"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/voronoi_angles.py"


rule draw_boundary_plane:
    input:
        plane=plane_input,
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/boundary_plane.rst",
            category="Bell, Part III: decision boundaries",
            labels={"artefact": "{artefact}: boundaries in the plane"},
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("boundary_plane"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_boundary_plane"),
        runtime=time_of("draw_boundary_plane"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/boundary_plane.py"
