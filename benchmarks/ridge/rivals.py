"""One rival of bench_ridge: `rivals.py WHO DIR`. Reads x.npy and y.npy of DIR, fits a ridge with
cross-validation in float32, checks the scores against ours (score.npy), and prints seconds and peak
memory in the form of Google Benchmark.

WHO: himalaya, himalaya-kernel, himalaya-torch, sklearn (a Ridge for each alpha and fold: it has no alpha
for each target with folds), numpy-gram (X'X of each fold decomposed, predictions for each alpha).
"""

import json
import os
import resource
import sys
import time

import numpy as np

ALPHAS = np.logspace(0, 5, 10)
FOLDS = 5


def himalaya(x, y, backend="numpy", kernel=False):
    from himalaya.backend import set_backend
    from himalaya.kernel_ridge import KernelRidgeCV
    from himalaya.ridge import RidgeCV
    set_backend(backend)
    if kernel:
        model = KernelRidgeCV(alphas=ALPHAS, cv=FOLDS, warn=False)
    else:
        model = RidgeCV(alphas=ALPHAS, cv=FOLDS, fit_intercept=False)
    model.fit(x, y)
    return np.asarray(model.cv_scores_).reshape(-1)


def folds_of(n):
    edges = np.linspace(0, n, FOLDS + 1).astype(int)
    return [np.arange(a, b) for a, b in zip(edges[:-1], edges[1:])]


def sklearn(x, y):
    from sklearn.linear_model import Ridge
    scores = np.zeros((len(ALPHAS), y.shape[1]))
    for test in folds_of(len(x)):
        train = np.setdiff1d(np.arange(len(x)), test)
        for a, alpha in enumerate(ALPHAS):
            model = Ridge(alpha=alpha, fit_intercept=False).fit(x[train], y[train])
            scores[a] -= ((y[test] - model.predict(x[test])) ** 2).mean(0) / FOLDS
    best = ALPHAS[scores.argmax(0)]
    Ridge(alpha=best, fit_intercept=False).fit(x, y)
    return scores.max(0)


def numpy_gram(x, y):
    scores = np.zeros((len(ALPHAS), y.shape[1]))
    gram, cross = x.T @ x, x.T @ y
    for test in folds_of(len(x)):
        a, b = x[test], y[test]
        values, vectors = np.linalg.eigh(gram - a.T @ a)
        z = vectors.T @ (cross - a.T @ b)
        basis = a @ vectors
        for i, alpha in enumerate(ALPHAS):
            scores[i] -= ((b - basis @ (z / (values + alpha)[:, None])) ** 2).mean(0) / FOLDS
    values, vectors = np.linalg.eigh(gram)
    best = ALPHAS[scores.argmax(0)].astype(x.dtype)
    vectors @ ((vectors.T @ cross) / (values[:, None] + best))
    return scores.max(0)


RIVALS = {
    "himalaya": himalaya,
    "himalaya-kernel": lambda x, y: himalaya(x, y, kernel=True),
    "himalaya-torch": lambda x, y: himalaya(x, y, backend="torch"),
    "sklearn": sklearn,
    "numpy-gram": numpy_gram,
}

if __name__ == "__main__":
    who, folder = sys.argv[1:3]
    x, y = (np.load(os.path.join(folder, name)) for name in ("x.npy", "y.npy"))
    shape = f"{x.shape[0]}x{x.shape[1]}x{y.shape[1]}"
    entry = {"name": f"ridge_cv/fp32/{shape}/{who}", "run_type": "iteration", "time_unit": "s"}
    try:
        start = time.perf_counter()
        scores = RIVALS[who](x, y)
        entry["real_time"] = time.perf_counter() - start
        ours = np.load(os.path.join(folder, "score.npy"))
        worst = float(np.abs(scores / ours - 1).max())
        entry["largest_excess"] = worst
        if not worst < 1e-3:
            raise ValueError(f"its scores differ from ours by {worst:.2g}")
    except Exception as error:  # the report shows it in place of a time
        entry.update(error_occurred=True, error_message=str(error))
    entry["peak_bytes"] = 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"benchmarks": [entry]}, indent=2))
