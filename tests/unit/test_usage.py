import json
import subprocess
import sys
from dataclasses import asdict

import pytest

from pipeline.running.usage import MARK, Usage, read_benchmark, read_usage, usage

USED = Usage(2.5, 1.5, 300.0, "cpu", 0.0, "some processor", "some host")
MEASURE = "from pipeline.running.usage import usage; print(usage('cpu').line())"


def measured(code):
    done = subprocess.run([sys.executable, "-c", f"{code}\n{MEASURE}"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.removeprefix(MARK))


def test_a_short_peak_of_memory_is_seen():
    # 300 MB that are written and freed at once; Snakemake's benchmark looks twice a second.
    assert measured("x = b'1' * 300_000_000; del x")["memory_mb"] - measured("")["memory_mb"] == pytest.approx(
        300, abs=15
    )


def test_the_memory_of_a_child_counts():
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'x = b\"1\" * 200_000_000'], check=True)"
    assert measured(code)["memory_mb"] > 200


def test_processor_time_and_time_by_the_clock_are_those_of_the_whole_process():
    used = measured("import time\nwhile time.process_time() < 0.5: pass\ntime.sleep(0.5)")
    assert 0.5 <= used["cpu_s"] < 5
    # A busy machine takes longer, never less.
    assert used["wall_s"] >= 1.0 - 0.02


def test_no_gpu_is_no_memory_of_one():
    assert usage("cpu").gpu_memory_mb == 0


def test_the_last_line_of_a_log_is_read_again(tmp_path):
    log = tmp_path / "a.log"
    other = Usage(**{**asdict(USED), "cpu_s": 9.0})
    log.write_text(f"scripts/a/b: {other.line()}\nscripts/a/b: 3 of 4\nscripts/a/b: {USED.line()}\n")
    assert read_usage(log) == USED


@pytest.mark.parametrize("text", ["", "used: {}", 'used: {"cpu_s": 1}', "used: {not json}", "\0\xff"])
def test_a_log_without_a_whole_line_says_nothing(tmp_path, text):
    log = tmp_path / "a.log"
    log.write_text(text)
    assert read_usage(log) is None


def test_a_benchmark_stands_in(tmp_path):
    file = tmp_path / "a.tsv"
    file.write_text("s\th:m:s\tmax_rss\n10.0\t0:00:10\t100.0\n")
    assert asdict(read_benchmark(file)) == {
        "wall_s": 10.0, "cpu_s": 10.0, "memory_mb": pytest.approx(104.8576), "device": "cpu", "gpu_memory_mb": 0.0, "cpu": "", "host": "",
    }  # fmt: skip
    file.write_text("s\th:m:s\tmax_rss\n0.9\t0:00:01\t1.0\n")
    assert read_benchmark(file).memory_mb == 0
    file.write_text("s\th:m:s\tmax_rss\n-\t-\t-\n")
    assert read_benchmark(file) is None
