import time

STARTED = time.time()


# Called by Snakemake at the end of every run that did something, in the process that ran the workflow.
def record_provenance(outcome):
    """Write results/provenance.json, whatever became of the run."""
    from snakemake.io import IOFile

    from pipeline.provenance.history import record

    # Snakemake remembers that there was no note of the last job before it wrote one.
    workflow.persistence._clear_cache()

    def made_by(path):
        return workflow.persistence.metadata(IOFile(path))

    record(Path.cwd(), ROOT, settings, made_by, outcome, sys.argv, STARTED)


onsuccess:
    record_provenance("success")


onerror:
    record_provenance("error")
