"""One set of page-aligned buffers for all, and the float64 oracle on sampled rows."""

import numpy as np

PAGE = 4096
STORAGE = {"f32": np.float32, "f16": np.float16, "bf16": np.uint16}
# Wrong beyond this (absolute; inputs are N(0, 1), so outputs are at most about 5). It separates wrong from right; which
# of the right ones is more accurate stands in the table. f16 and bf16 allow for outputs and probabilities rounded to them.
TOLERANCE = {"f32": 1e-4, "f16": 1e-2, "bf16": 6e-2}
SAMPLED_HEADS, SAMPLED_ROWS = 4, 24


def aligned(shape, dtype=np.float32):
    """An array that begins on a page, its pages touched."""
    dtype = np.dtype(dtype)
    count = int(np.prod(shape))
    raw = np.zeros(count * dtype.itemsize + PAGE, np.uint8)
    start = -raw.ctypes.data % PAGE
    return raw[start : start + count * dtype.itemsize].view(dtype).reshape(shape)


def aligned_copy(array):
    copy = aligned(array.shape, array.dtype)
    copy[...] = array
    return copy


def narrow(values, dtype):
    """float32 -> storage of dtype; bf16 is the upper half of a float, rounded to nearest even."""
    if dtype != "bf16":
        return values.astype(STORAGE[dtype], copy=False)
    bits = values.view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def widen(stored, dtype):
    if dtype != "bf16":
        return stored.astype(np.float32, copy=False)
    return (stored.astype(np.uint32) << 16).view(np.float32)


class Tensors:
    """q [B][Hq][Sq][D], k and v [B][Hkv][Skv][D], in the case's dtype. mask: None, bool [Sq][Skv], or float32
    [Hq][Sq][Skv]; the additive values are exact in float16, so that a peer that wants such a mask loses nothing."""

    def __init__(self, case, seed=20240229):
        self.case = case
        random = np.random.default_rng(seed)
        shapes = ((case.Hq, case.Sq), (case.Hkv, case.Skv), (case.Hkv, case.Skv))
        self.q, self.k, self.v = (
            aligned_copy(narrow(random.standard_normal((case.B, h, s, case.D), np.float32), case.dtype)) for h, s in shapes
        )
        self.mask = None
        if case.mask == "bool":
            owner_q, owner_k = (np.arange(s) * 3 // s for s in (case.Sq, case.Skv))
            self.mask = aligned_copy(owner_q[:, None] == owner_k[None, :])
        elif case.mask == "additive":
            self.mask = aligned_copy((random.integers(-256, 257, (case.Hq, case.Sq, case.Skv)) / 64).astype(np.float32))
        self._cache = {}

    def bshd(self, name):
        """q, k or v as [B][S][H*D], made once."""
        if name not in self._cache:
            array = getattr(self, name)
            b, h, s, d = array.shape
            self._cache[name] = aligned_copy(array.transpose(0, 2, 1, 3)).reshape(b, s, h * d)
        return self._cache[name]

    def additive_mask(self):
        """The mask as float32 [1 or Hq][Sq][Skv]: 0 and -inf for a boolean one."""
        if "mask" not in self._cache:
            mask = self.mask
            if mask.dtype == np.bool_:
                mask = aligned_copy(np.where(mask, np.float32(0), np.float32("-inf"))[None])
            self._cache["mask"] = mask
        return self._cache["mask"]

    def sample(self):
        """(b, h, rows) triples: first and last head of all, rows spread from first to last."""
        case = self.case
        heads = np.unique(np.linspace(0, case.B * case.Hq - 1, SAMPLED_HEADS).astype(int))
        rows = np.unique(np.linspace(0, case.Sq - 1, SAMPLED_ROWS).astype(int))
        return [(bh // case.Hq, bh % case.Hq, rows) for bh in heads]

    def oracle(self):
        """float64 rows of O at sample(), from the stored values."""
        if "oracle" not in self._cache:
            self._cache["oracle"] = [self._oracle_rows(*at) for at in self.sample()]
        return self._cache["oracle"]

    def _oracle_rows(self, b, h, rows):
        case = self.case
        q, k, v = (
            widen(t, case.dtype).astype(np.float64)
            for t in (self.q[b, h, rows], self.k[b, h // case.G], self.v[b, h // case.G])
        )
        scores = q @ k.T / np.sqrt(case.D)
        if case.mask == "causal":
            scores[np.arange(case.Skv)[None, :] > rows[:, None] + case.Skv - case.Sq] = -np.inf
        elif case.mask == "bool":
            scores[~self.mask[rows]] = -np.inf
        elif case.mask == "additive":
            scores += self.mask[h, rows]
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        return weights @ v / weights.sum(axis=1, keepdims=True)

    def max_error(self, output):
        """Largest absolute error of output (a float32 view [B][Hq][Sq][D]) at the sampled rows; inf for NaN."""
        worst = 0.0
        for (b, h, rows), expected in zip(self.sample(), self.oracle()):
            error = np.abs(output[b, h, rows].astype(np.float64) - expected)
            worst = max(worst, float(error.max()) if np.isfinite(error).all() else float("inf"))
        return worst
