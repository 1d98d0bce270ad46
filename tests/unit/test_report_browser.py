"""The report in a headless browser: pages fit on wide and narrow screens, and the ledger can be filtered."""

import html
import json
import re
import shutil
import subprocess
from dataclasses import replace

import pytest

from pipeline.report.pages import write_report
from tests.unit.report_cases import CLAIM, ROOT, run_in, write_rows

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


WRAPPER = """<!DOCTYPE html><body><script>
const found = {};
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const open = (page, width) => new Promise((done) => {
  const frame = document.createElement("iframe");
  frame.style = `width: ${width}px; height: 900px; border: 0`;
  frame.onload = () => done(frame.contentDocument);
  frame.src = page;
  document.body.append(frame);
});
(async () => {
  for (const page of PAGES) for (const width of [420, 1400]) {
    const root = (await open(page, width)).documentElement;
    for (const part of root.querySelectorAll("details")) part.open = true;
    found[`${page} ${width}`] = root.scrollWidth - width;
  }
  const page = await open("report.html", 1400), form = page.getElementById("filter"), rows = () =>
    [...page.querySelectorAll("#rows tr[data-id]")].filter((row) => row.offsetParent).map((row) => row.dataset.id).join();
  found.hidden = form.hidden;
  const set = (name, value) => {
    form.elements[name].value = value;
    form.dispatchEvent(new Event("input"));
    return rows();
  };
  found.all = rows();
  found.verdict = set("verdict", "reproduced");
  found.decided = set("verdict", "decided");
  found.words = set("words", "ALL c-2");
  found.none = set("words", "no such word");
  form.reset();
  await wait(50);
  found.reset = rows();
  page.querySelector('.counts a[data-verdict="not reproduced"]').click();
  found.clicked = rows();
  document.body.innerHTML = "";
  document.body.append(Object.assign(document.createElement("pre"), { id: "found", textContent: JSON.stringify(found) }));
})();
</script></body>"""


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
def test_in_a_browser_pages_fit_and_the_ledger_is_filtered(tmp_path):
    run = run_in(tmp_path / "run")
    long = "a_very_long_setting_" * 5
    write_rows(run.folder / "results/tables/bell/table1.csv", [{f"{long}{n}": "0.123456" for n in range(20)}])
    claims = [CLAIM | {"id": f"{CLAIM['id']}{n}" * 3} for n in range(2)]
    claims += [CLAIM | {"id": "other/C-2", "verdict": "reproduced", "evidence": "; ".join([CLAIM["evidence"]] * 9)}]
    claims += [CLAIM | {"id": "more", "claim": "x" * 300, "verdict": "not run at this scale", "scale": long}]
    write_rows(run.folder / "results/claims.csv", claims)
    write_report(replace(run, config=run.config | {long: long * 3}), ROOT, "")
    pages = [
        path.relative_to(run.folder / "results").as_posix() for path in (run.folder / "results").rglob("report*/*.html")
    ]
    wrapper = run.folder / "results" / "wrapper.html"
    wrapper.write_text(WRAPPER.replace("PAGES", json.dumps(["report.html", *pages])))
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files",
               "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path}/profile",
               "--virtual-time-budget=10000", "--window-size=1500,900", "--dump-dom", wrapper.as_uri()]  # fmt: skip
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    found = json.loads(html.unescape(re.findall(r'<pre id="found">(.*?)</pre>', shown, re.S)[-1]))
    assert {name: wide for name, wide in found.items() if name.endswith(("420", "1400")) and wide > 0} == {}
    assert len([name for name in found if name.endswith("420")]) == len(pages) + 1 >= 10
    ids = [row["id"] for row in claims]
    assert found["hidden"] is False
    assert found["all"] == found["reset"] == ",".join(ids)
    assert found["verdict"] == found["words"] == ids[2]
    assert found["decided"] == ",".join(ids[:3])
    assert found["clicked"] == ",".join(ids[:2])
    assert found["none"] == ""
