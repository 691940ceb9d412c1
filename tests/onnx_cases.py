#!/usr/bin/env python3
"""Writes random conformance cases of the ONNX Attention operator, with answers from its definition in float64.

usage: onnx_cases.py DIR COUNT SEED

Written from the specification (opset 23 to 25), independently of libattn: the position of query i among the keys is
i + length of the past (nonpad_kv_seqlen - q_length with an external cache, 0 without either); is_causal hides the keys
behind it, left_window_size and right_window_size those further away; softcap comes before the mask; the stages of
qk_matmul_output are raw, after softcap, after the mask, after the softmax; a query without a key gives zeros.
"""
import json
import os
import sys

import numpy as np

BF16 = "bfloat16"


def rounded(x, dtype):
    """x as the type stores it, still in float64."""
    if dtype == BF16:
        bits = x.astype(np.float32).view(np.uint32)
        finite = np.isfinite(x)
        up = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16 << 16).view(np.float32)
        return np.where(finite, up, x).astype(np.float64)
    return x.astype(dtype).astype(np.float64)


def stored(x, dtype):
    if dtype == BF16:
        return (rounded(x, BF16).astype(np.float32).view(np.uint32) >> 16).astype(np.uint16).view("V2")
    return x.astype(dtype)


def attention(c, q, k, v, mask, past, nonpad):
    """float64 [B][H][S][D] in, (Y, scores at the stage that is asked for) out."""
    heads, queries, keys = q.shape[1], q.shape[2], k.shape[2]
    k, v = (np.repeat(x, heads // x.shape[1], axis=1) for x in (k, v))
    scale = c.get("scale", 1 / np.sqrt(q.shape[3]))
    raw = np.einsum("bhid,bhjd->bhij", q, k) * scale
    cap = c.get("softcap", 0)
    capped = cap * np.tanh(raw / cap) if cap else raw
    visible = np.ones(raw.shape, bool)
    j = np.arange(keys)
    for b in range(q.shape[0]):
        position = np.arange(queries)[:, None] + (past if nonpad is None else nonpad[b] - queries)
        if c.get("is_causal"):
            visible[b] &= j <= position
        if c.get("left_window_size", -1) >= 0:
            visible[b] &= j >= position - c["left_window_size"]
        if c.get("right_window_size", -1) >= 0:
            visible[b] &= j <= position + c["right_window_size"]
        if nonpad is not None:
            visible[b] &= j < nonpad[b]
    biased = capped.copy()
    if mask is not None:
        fill = False if mask.dtype == bool else -np.inf
        pad = [(0, 0)] * (mask.ndim - 1) + [(0, keys - mask.shape[-1])]
        mask = np.pad(mask, pad, constant_values=fill)
        if mask.dtype == bool:
            visible &= mask
        else:
            biased = biased + mask
    biased[~visible] = -np.inf
    top = biased.max(axis=-1, keepdims=True)
    weight = np.exp(biased - np.where(np.isfinite(top), top, 0))
    total = weight.sum(axis=-1, keepdims=True)
    weight = np.divide(weight, total, out=np.zeros_like(weight), where=total > 0)
    y = np.einsum("bhij,bhjd->bhid", weight, v)
    return y, (raw, capped, biased, weight)[c.get("qk_matmul_output_mode", 0)]


def flat(x):
    return x.transpose(0, 2, 1, 3).reshape(x.shape[0], x.shape[2], -1)


def make_case(folder, rng):
    def chance(p):
        return rng.random() < p

    def number(low, high):
        return int(rng.integers(low, high + 1))

    dtype = rng.choice(["float32", "float32", "float16", "float64", BF16])
    batch, kv_heads, group = number(1, 3), number(1, 3), number(1, 3)
    heads, queries, new = kv_heads * group, number(1, 9), number(1, 80 if chance(0.2) else 12)
    dqk, dv = number(1, 24), number(1, 24)
    three = chance(0.4)
    cache = rng.choice(["none", "past", "external"])
    old = number(0, 9) if cache == "past" else 0
    keys = old + new
    c = {}
    if three:
        c.update(q_num_heads=heads, kv_num_heads=kv_heads)
    if chance(0.5):
        c["is_causal"] = 1
    if chance(0.3):
        c["scale"] = float(np.float32(rng.uniform(0.01, 0.5)))
    if chance(0.4):
        c["softcap"] = float(np.float32(rng.uniform(0.3, 4)))
    if chance(0.4):
        c["left_window_size"] = number(-1, 6)
    if chance(0.3):
        c["right_window_size"] = number(-1, 4)
    if chance(0.3):
        c["softmax_precision"] = int(rng.choice([1, 10, 11, 16]))
    inputs, outputs = {}, {}

    def normal(*shape):
        return rounded(rng.standard_normal(shape), dtype)

    q, k, v = normal(batch, heads, queries, dqk), normal(batch, kv_heads, new, dqk), normal(batch, kv_heads, new, dv)
    for name, x in (("Q", q), ("K", k), ("V", v)):
        inputs[name] = stored(flat(x) if three else x, dtype)
    if cache == "past":
        pk, pv = normal(batch, kv_heads, old, dqk), normal(batch, kv_heads, old, dv)
        inputs["past_key"], inputs["past_value"] = stored(pk, dtype), stored(pv, dtype)
        k, v = np.concatenate((pk, k), axis=2), np.concatenate((pv, v), axis=2)
        outputs["present_key"], outputs["present_value"] = stored(k, dtype), stored(v, dtype)
    nonpad = None
    if cache == "external":
        nonpad = rng.integers(0, keys + 1, batch)
        inputs["nonpad_kv_seqlen"] = nonpad.astype(np.int64)
    mask = None
    if chance(0.6):
        shape = [batch, heads, queries][3 - number(0, 3):]
        shape = [1 if chance(0.25) else n for n in shape]
        shape.append(number(1, keys) if chance(0.2) else keys)
        kind = rng.choice(["bool", dtype, "float32"])
        if kind == "bool":
            mask = rng.random(shape) < 0.7
            inputs["attn_mask"] = mask
        else:
            mask = rounded(np.where(rng.random(shape) < 0.2, -np.inf, rng.standard_normal(shape)), kind)
            inputs["attn_mask"] = stored(mask, kind)
        if chance(0.1) and len(shape) > 1:
            mask[..., 0, :] = False if kind == "bool" else -np.inf
            inputs["attn_mask"] = mask if kind == "bool" else stored(mask, kind)
    wants_scores = chance(0.6)
    if wants_scores and chance(0.8):
        c["qk_matmul_output_mode"] = number(0, 3)
    y, scores = attention(c, q, k, v, mask, old, nonpad)
    outputs["Y"] = stored(flat(y) if three else y, dtype)
    if wants_scores:
        outputs["qk_matmul_output"] = stored(scores, dtype)

    def entries(arrays, slots, prefix):
        found = []
        for name, x in arrays.items():
            np.save(f"{folder}/{prefix}{name}.npy", x)
            kind = BF16 if x.dtype.kind == "V" else str(x.dtype)
            found.append({"name": name, "slot": slots.index(name), "dtype": kind, "shape": list(x.shape)})
        return found

    os.makedirs(folder)
    slots = ["Q", "K", "V", "attn_mask", "past_key", "past_value", "nonpad_kv_seqlen"]
    opset = 25 if {"left_window_size", "right_window_size"} & set(c) else 24 if nonpad is not None else 23
    case = {"name": os.path.basename(folder), "op": "Attention", "opset": [["", opset]], "attributes": c,
            "inputs": entries(inputs, slots, "in_"),
            "outputs": entries(outputs, ["Y", "present_key", "present_value", "qk_matmul_output"], "out_")}
    with open(f"{folder}/case.json", "w", encoding="utf-8") as f:
        json.dump(case, f, indent=1)


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    rng = np.random.default_rng(int(sys.argv[3]))
    for i in range(int(sys.argv[2])):
        make_case(f"{sys.argv[1]}/case{i:04}", rng)


if __name__ == "__main__":
    main()
