"""bench/stats.c against SciPy on random inputs, to 1e-9 relative and absolute.

usage: python3 tests/stats_scipy.py build/tests/stats_driver [INPUTS]

Without SciPy nothing is compared, and the count says "skipped". Holm is not in SciPy; its formula stands here in NumPy."""

import itertools
import math
import subprocess
import sys

INPUTS = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
KINDS = 7

try:
    import numpy as np
    from scipy import stats
except ImportError as error:
    print(f"skipped: {error}; install SciPy for Python 3 to compare with it")
    print(f"0 passed, 0 failed, {KINDS} skipped")
    sys.exit(0)

rng = np.random.default_rng(20240229)


def text(values):
    return " ".join(repr(float(v)) for v in values)


def sample(n, ties):
    return rng.integers(0, max(2, n // 2), n).astype(float) if ties else rng.normal(size=n)


def exact_without_ties():
    x, y = sample(rng.integers(1, 25), False), sample(rng.integers(1, 25), False)
    r = stats.mannwhitneyu(x, y, method="exact")
    return f"mw exact {len(x)} {len(y)} {text(x)} {text(y)}", [r.statistic, r.pvalue]


def exact_with_ties():
    # Every way to share the pooled midranks out, as SciPy's rankdata gives them.
    nx, ny = rng.integers(1, 7), rng.integers(1, 7)
    x, y = sample(nx, True), sample(ny, True)
    ranks = stats.rankdata(np.concatenate([x, y]))
    sums = np.array([ranks[list(c)].sum() for c in itertools.combinations(range(nx + ny), nx)])
    observed = ranks[:nx].sum()
    p = min(1, 2 * min((sums <= observed + 1e-9).mean(), (sums >= observed - 1e-9).mean()))
    return f"mw exact {nx} {ny} {text(x)} {text(y)}", [stats.mannwhitneyu(x, y).statistic, p]


def normal():
    ties = rng.random() < 0.5
    x, y = sample(rng.integers(2, 200), ties), sample(rng.integers(2, 200), ties)
    r = stats.mannwhitneyu(x, y, method="asymptotic")
    return f"mw normal {len(x)} {len(y)} {text(x)} {text(y)}", [r.statistic, r.pvalue]


def sign():
    n = int(rng.integers(1, 400))
    k = int(rng.integers(0, n + 1))
    return f"sign {k} {n}", [stats.binomtest(k, n).pvalue]


def median():
    v = sample(rng.integers(1, 120), False)
    level = float(rng.choice([0.5, 0.9, 0.95, 0.99, 0.999]))
    s, n = np.sort(v), len(v)
    rank = 0  # largest with twice P(at most rank - 1) within 1 - level
    while rank < n // 2 and 2 * stats.binom.cdf(rank, n, 0.5) <= 1 - level:
        rank += 1
    ends = [s[rank - 1], s[n - rank]] if rank else [-math.inf, math.inf]
    return f"median {level} {n} {text(v)}", [np.median(v)] + ends


def holm():
    p = rng.random(rng.integers(1, 60)) ** 3
    order = np.argsort(p)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return f"holm {len(p)} {text(p)}", list(adjusted)


def welch():
    x = rng.normal(0, 10 ** rng.uniform(-3, 3), rng.integers(2, 60))
    y = rng.normal(rng.uniform(0, 3), 10 ** rng.uniform(-3, 3), rng.integers(2, 60))
    return f"welch {len(x)} {len(y)} {text(x)} {text(y)}", [stats.ttest_ind(x, y, equal_var=False).pvalue]


failed = 0
kinds = (exact_without_ties, exact_with_ties, normal, sign, median, holm, welch)
assert len(kinds) == KINDS
for kind in kinds:
    requests, wanted = zip(*(kind() for _ in range(INPUTS)))
    run = subprocess.run([sys.argv[1]], input="\n".join(requests) + "\n", capture_output=True, text=True, check=True)
    answers = run.stdout.splitlines()
    bad, worst = len(answers) != INPUTS, 0.0
    for request, want, answer in zip(requests, wanted, answers):
        got = [float(v) for v in answer.split()]
        for g, w in zip(got, want):
            error = 0.0 if g == w else abs(g - w) / min(1.0, abs(w)) if w else abs(g)
            worst = max(worst, error)
            if not error <= 1e-9:
                bad = True
                print(f"# {request[:120]}: {g!r} instead of {w!r}")
        bad = bad or len(got) != len(want)
    failed += bad
    print(f"{'not ok' if bad else 'ok'} - {kind.__name__}: {INPUTS} inputs, largest error {worst:.1e}")
print(f"{KINDS - failed} passed, {failed} failed")
sys.exit(failed > 0)
