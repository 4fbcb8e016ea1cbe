"""`report.py DIR RESULT [DOCUMENT]`: the table of ridge_bench's measurements (ratio: time over that of
ours with LAPACK), which also goes into DOCUMENT between its marks; all of them together in RESULT."""

import datetime
import glob
import json
import os
import subprocess
import sys

import numpy as np


def first_line(path, word):
    with open(path) as lines:
        return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(word)), "?")


def main():
    folder, result = sys.argv[1:3]
    entries = []
    for path in glob.glob(os.path.join(folder, "*.json")):
        with open(path) as file:
            entries += json.load(file)["benchmarks"]
    versions = {"numpy": np.__version__}
    for module in ("himalaya", "sklearn", "torch"):
        try:
            versions[module] = __import__(module).__version__
        except ImportError:
            pass
    commit = subprocess.run(["git", "rev-parse", "--short=10", "HEAD"], capture_output=True, text=True)
    context = {
        "processor": first_line("/proc/cpuinfo", "model name"),
        "threads": os.environ["OMP_NUM_THREADS"],
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%MZ"),
        "commit": commit.stdout.strip() or "?",
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
    }
    with open(result, "w") as file:
        json.dump({"context": context, "benchmarks": entries}, file, indent=1)
        file.write("\n")
    ours = {entry["name"].split("/")[2]: entry for entry in entries
            if entry["name"].endswith("/ours-lapack")}
    lines = [f"- {name}: {value}" for name, value in context.items()]
    lines += ["", "| rows x features x targets | who | seconds | ratio | peak GB | forecast GB |",
              "| --- | --- | --- | --- | --- | --- |"]
    for entry in sorted(entries, key=lambda e: (e["name"].split("/")[2], e.get("real_time", 1e9))):
        shape, who = entry["name"].split("/")[2:4]
        best = ours.get(shape, {}).get("real_time")
        seconds = entry.get("error_message") or f"{entry['real_time']:.2f}"
        failed = "error_message" in entry
        ratio = f"{entry['real_time'] / best:.2f}" if best and not failed else "-"
        peak, forecast = (f"{entry[key] / 1e9:.2f}" if entry.get(key) else "-"
                          for key in ("peak_bytes", "forecast_bytes"))
        lines.append(f"| {shape} | {who} | {seconds} | {ratio} | {peak} | {forecast} |")
    table = "\n".join(lines)
    print(table)
    if len(sys.argv) > 3:
        begin, end = "<!-- tables of ./run bench-ridge -->", "<!-- end of tables -->"
        with open(sys.argv[3]) as file:
            text = file.read()
        head, rest = text.split(begin)
        with open(sys.argv[3], "w") as file:
            file.write(head + begin + "\n" + table + "\n" + end + rest.split(end, 1)[1])


if __name__ == "__main__":
    main()
