rule measure_wedges:
    output:
        SINGLE["wedges"],
    log:
        "logs/wedges.log",
    benchmark:
        "results/benchmarks/wedges.tsv"
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        mem_mb=memory_of("measure_wedges"),
        runtime=time_of("measure_wedges"),
    params:
        spec=spec_of("wedges"),
    script:
        "../scripts/wedges/measure.py"


rule draw_orthant_spectra:
    input:
        wedges=SINGLE["wedges"],
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/orthant_spectra.rst",
            category="Bell, Part III: decision boundaries",
            labels={
                "artefact": "{artefact}: spectra of samples projected onto orthants"
            },
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("orthant_spectra"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_orthant_spectra"),
        runtime=time_of("draw_orthant_spectra"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/orthant_spectra.py"


rule draw_wedge_crossings:
    input:
        wedges=SINGLE["wedges"],
    output:
        report(
            "results/figures/{artefact}.png",
            caption="../report/wedge_crossings.rst",
            category="Bell, Part III: decision boundaries",
            labels={
                "artefact": "{artefact}: persistence across the boundary of wedges"
            },
        ),
        expand("results/figures/{{artefact}}.{kind}", kind=OTHER_FORMATS),
    log:
        "logs/figures/{artefact}.log",
    benchmark:
        "results/benchmarks/figures/{artefact}.tsv"
    wildcard_constraints:
        artefact=plots("wedge_crossings"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_wedge_crossings"),
        runtime=time_of("draw_wedge_crossings"),
    params:
        spec=figure_param,
        scale=scale_in_words,
    script:
        "../scripts/figures/wedge_crossings.py"
