"""`draw.py DIR ROWS FEATURES TARGETS`: writes x.npy and y.npy, normal features and targets that follow
them as much as noise, in float32."""

import os
import sys

import numpy as np

folder = sys.argv[1]
n, p, t = map(int, sys.argv[2:])
rng = np.random.default_rng(0)
x = rng.standard_normal((n, p), dtype=np.float32)
np.save(os.path.join(folder, "x.npy"), x)
y = np.lib.format.open_memmap(os.path.join(folder, "y.npy"), "w+", np.float32, (n, t))
rows = max(1, min(n, int(5e8) // (4 * t)))  # in the order of the file, so that pages are written once
weights = rng.standard_normal((p, t), dtype=np.float32) / np.float32(p) ** 0.5
for first in range(0, n, rows):
    part = x[first:first + rows]
    y[first:first + rows] = part @ weights + rng.standard_normal((len(part), t), dtype=np.float32)
y.flush()
