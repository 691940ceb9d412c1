#!/usr/bin/env python3
"""Attention from Python through ctypes, checked against NumPy.

Uses build/libattn.so, or the library that ATTN_LIBRARY names. Needs NumPy. The structures below mirror include/attn.h of
this version field by field; zero is the default of each.
"""
import ctypes
import os
import pathlib

import numpy as np


class Strides(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in "bhsd"]


class Mask(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_int), ("length", ctypes.c_int64), ("stride", Strides)]


class BlockMask(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in ("queries", "keys", "b", "h")]


class Desc(ctypes.Structure):
    _fields_ = (
        [("dtype", ctypes.c_int), ("layout", ctypes.c_int)]
        + [(name, ctypes.c_int64) for name in ("B", "Hq", "Hkv", "Sq", "Skv", "Dqk", "Dv")]
        + [(name, Strides) for name in "qkvo"]
        + [("scale", ctypes.c_float), ("flags", ctypes.c_uint), ("causal_offset", ctypes.c_int64)]
        + [("mask", Mask), ("lse", Strides), ("window_left", ctypes.c_int64), ("window_right", ctypes.c_int64)]
        + [("softcap", ctypes.c_float), ("blocks", BlockMask), ("rope", ctypes.c_void_p)]
    )


class Args(ctypes.Structure):
    _fields_ = (
        [(name, ctypes.c_void_p) for name in ("q", "k", "v", "o", "mask", "lse", "workspace")]
        + [("workspace_bytes", ctypes.c_size_t)]
        + [(name, ctypes.c_void_p) for name in ("alibi_slopes", "sinks", "kv_lengths", "blocks", "q_starts", "kv_starts")]
    )


ATTN_CAUSAL = 1

default = pathlib.Path(__file__).resolve().parent.parent / "build" / "libattn.so"
attn = ctypes.CDLL(os.environ.get("ATTN_LIBRARY", str(default)))
attn.attn_error_message.restype = ctypes.c_char_p


def attention(q, k, v, causal=False):
    """softmax(Q K^T / sqrt(Dqk)) V. q [B, Hq, Sq, Dqk], k [B, Hkv, Skv, Dqk], v [B, Hkv, Skv, Dv], any float type."""
    q, k, v = (np.ascontiguousarray(x, dtype=np.float32) for x in (q, k, v))
    if not q.ndim == k.ndim == v.ndim == 4:
        raise ValueError("q, k and v need four dimensions")
    if k.shape[:3] != v.shape[:3] or q.shape[0] != k.shape[0] or q.shape[3] != k.shape[3]:
        raise ValueError(f"shapes do not fit together: q {q.shape}, k {k.shape}, v {v.shape}")
    o = np.empty((*q.shape[:3], v.shape[3]), dtype=np.float32)
    desc = Desc(B=q.shape[0], Hq=q.shape[1], Hkv=k.shape[1], Sq=q.shape[2], Skv=k.shape[2], Dqk=q.shape[3], Dv=v.shape[3])
    desc.flags = ATTN_CAUSAL if causal else 0
    args = Args(q=q.ctypes.data, k=k.ctypes.data, v=v.ctypes.data, o=o.ctypes.data)
    if attn.attn_forward(ctypes.byref(desc), None, ctypes.byref(args)):
        raise RuntimeError(attn.attn_error_message().decode())
    return o


def by_definition(q, k, v, causal):
    group = q.shape[1] // k.shape[1]
    k, v = (np.repeat(x, group, axis=1).astype(np.float64) for x in (k, v))
    scores = q.astype(np.float64) @ k.swapaxes(2, 3) / np.sqrt(q.shape[3])
    if causal:
        hidden = np.triu(np.ones(scores.shape[2:], dtype=bool), 1 + scores.shape[3] - scores.shape[2])
        scores = np.where(hidden, -np.inf, scores)
    weights = np.exp(scores - scores.max(axis=3, keepdims=True))
    return weights / weights.sum(axis=3, keepdims=True) @ v


if __name__ == "__main__":
    random = np.random.default_rng(1)
    q = random.standard_normal((2, 8, 100, 64), dtype=np.float32)
    k = random.standard_normal((2, 2, 130, 64), dtype=np.float32)
    v = random.standard_normal((2, 2, 130, 48), dtype=np.float32)
    for causal in (False, True):
        expected = by_definition(q, k, v, causal)
        error = np.abs(attention(q, k, v, causal) - expected).max() / np.abs(expected).max()
        print(f"causal {causal!s:5}: largest error {error:.1e} of max |O|")
        if not error <= 2e-6:
            raise SystemExit("more than 2e-6")
