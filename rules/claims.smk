rule decide_claims:
    input:
        claims_input,
    output:
        report(
            CLAIMS,
            caption="../report/claims.rst",
            category="Claims",
            labels={"artefact": "published claims and their verdicts"},
        ),
        CLAIM_LIMITS,
    log:
        "logs/claims.log",
    benchmark:
        "results/benchmarks/claims.tsv"
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("decide_claims"),
        runtime=time_of("decide_claims"),
    params:
        spec=claims_param,
        root=checkout,
    script:
        "../scripts/tables/claims.py"


rule draw_claims:
    input:
        claims=CLAIMS,
        limits=CLAIM_LIMITS,
    output:
        *[
            report(
                picture,
                caption="../report/claims_overview.rst",
                category="Claims",
                labels={
                    "artefact": f"claims: {Path(picture).stem}, published against measured"
                },
            )
            for picture in CLAIM_PICTURES
        ],
        BESIDE_CLAIMS,
    log:
        "logs/figures/claims.log",
    benchmark:
        "results/benchmarks/figures/claims.tsv"
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("draw_claims"),
        runtime=time_of("draw_claims"),
    params:
        spec=claims_figure_param,
    script:
        "../scripts/figures/claims.py"
