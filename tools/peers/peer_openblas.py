"""What a user of a BLAS writes: sgemm, softmax, sgemm, in blocks of queries that stay in the cache, blocks shared out over
threads. NumPy supplies sgemm (its wheels carry OpenBLAS) and a vectorised exp; both release the interpreter's lock."""

import concurrent.futures
import ctypes
import threading

import numpy as np

from peer import Prepared, Unsupported
from tensors import aligned

SCORES_BYTES = 1 << 20
MOST_ROWS = 256


def single_threaded_blas():
    """One thread for each sgemm: the blocks are what runs in parallel. Returns the configuration string."""
    with open("/proc/self/maps", encoding="utf-8") as maps:
        paths = {line.split()[-1] for line in maps if "openblas" in line and ".so" in line and "numpy" in line}
    for path in sorted(paths):
        library = ctypes.CDLL(path)
        for prefix, suffix in (("scipy_", "64_"), ("scipy_", ""), ("", "64_"), ("", "")):
            try:
                getattr(library, f"{prefix}openblas_set_num_threads{suffix}")(1)
                config = getattr(library, f"{prefix}openblas_get_config{suffix}")
            except AttributeError:
                continue
            config.restype = ctypes.c_char_p
            return config().decode()
    return None


class PeerOpenblas:
    name = "openblas"
    settings = (
        "NumPy: sgemm, softmax in place, sgemm, blocks of up to 256 queries and 1 MiB of scores, causal blocks cut at "
        "the diagonal, blocks shared out over threads; [B][H][S][D]"
    )

    def load(self):
        config = single_threaded_blas()
        if config is None:
            raise ImportError("this NumPy does not bring OpenBLAS")
        return f"{config.split()[1]} (NumPy {np.__version__})"

    def prepare(self, case, tensors, threads):
        if case.dtype != "f32":
            raise Unsupported("a BLAS has no half-precision gemm")
        out = aligned((case.B, case.Hq, case.Sq, case.D))
        rows = max(16, min(MOST_ROWS, SCORES_BYTES // (4 * case.Skv)))
        local = threading.local()
        factor = np.float32(1 / np.sqrt(case.D))
        folded = case.Sq == 1 and tensors.mask is None

        def softmax_times_v(scores, v, into):
            scores -= scores.max(axis=1, keepdims=True)
            np.exp(scores, out=scores)
            total = scores.sum(axis=1, keepdims=True)
            np.matmul(scores, v, out=into)
            into /= total

        def buffer(count, keys):
            if not hasattr(local, "scores"):
                local.scores = aligned((max(rows, case.G) * case.Skv,))
            return local.scores[: count * keys].reshape(count, keys)

        def one_group(unit):
            """All query heads of one KV head for a single query: K and V are read once."""
            b, hkv = unit
            heads = slice(hkv * case.G, (hkv + 1) * case.G)
            scores = buffer(case.G, case.Skv)
            np.matmul(tensors.q[b, heads, 0] * factor, tensors.k[b, hkv].T, out=scores)
            softmax_times_v(scores, tensors.v[b, hkv], out[b, heads, 0])

        def one_block(unit):
            b, h, i0 = unit
            i1 = min(i0 + rows, case.Sq)
            keys = i1 if case.mask == "causal" else case.Skv
            k, v = tensors.k[b, h // case.G, :keys], tensors.v[b, h // case.G, :keys]
            scores = buffer(i1 - i0, keys)
            np.matmul(tensors.q[b, h, i0:i1] * factor, k.T, out=scores)
            if case.mask == "causal":
                scores[:, i0:][upper[: i1 - i0, : i1 - i0]] = -np.inf
            elif case.mask != "none":
                scores += additive[h % len(additive), i0:i1]
            softmax_times_v(scores, v, out[b, h, i0:i1])

        if folded:
            work, units = one_group, [(b, hkv) for b in range(case.B) for hkv in range(case.Hkv)]
        else:
            upper = np.triu(np.ones((rows, rows), bool), 1)
            additive = tensors.additive_mask() if case.mask in ("bool", "additive") else None
            starts = range(0, case.Sq, rows)
            # Blocks of the same cost stand next to each other, so every thread gets the same share of each.
            units = [(b, h, i0) for i0 in starts for b in range(case.B) for h in range(case.Hq)]
            work = one_block
        if threads == 1:
            return Prepared(lambda: [work(unit) for unit in units], lambda: out, keep=tensors)
        pool = concurrent.futures.ThreadPoolExecutor(threads)
        turns = [units[start::threads] for start in range(threads)]
        run = lambda: list(pool.map(lambda mine: [work(unit) for unit in mine], turns))
        return Prepared(run, lambda: out, pool.shutdown, keep=tensors)
