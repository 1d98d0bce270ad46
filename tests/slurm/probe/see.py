"""Write down what a job sees of the machine, and when it ran."""

import json
import os
import time
from pathlib import Path

from pipeline.running.devices import candidates

began = time.time()
held = bytearray(int(snakemake.params.hold_mb) * 2**20)
held[:: 2**12] = b"1" * len(held[:: 2**12])
time.sleep(float(snakemake.params.seconds))
seen = {
    "gpus": candidates(lambda: ["0", "1", "2", "3"])[0],
    "node": os.environ.get("SLURMD_NODENAME"),
    "began": began,
    "ended": time.time(),
}
Path(snakemake.output[0]).write_text(json.dumps(seen))
