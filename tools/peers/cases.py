"""The cases: one line each. Adding one is adding a line; it is measured for every peer that can do it.

A line of a dtype that this libattn does not have yet is listed and passed over, and joins the table when the library
learns it. Masks: none, causal (Sq = Skv), bool (three packed documents), additive (a bias per head).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    name: str
    what: str
    Hq: int
    Hkv: int
    Sq: int
    Skv: int
    D: int
    mask: str = "none"
    dtype: str = "f32"
    B: int = 1
    cached: bool = False  # libattn keeps K and V in its KV cache, as OpenVINO and ONNX Runtime do in theirs

    @property
    def G(self):
        return self.Hq // self.Hkv

    @property
    def pairs(self):
        """Query-key pairs that count as useful work: half of a causal square, all of anything else."""
        return self.Sq * (self.Sq + 1) // 2 if self.mask == "causal" else self.Sq * self.Skv

    @property
    def flops(self):
        return 4.0 * self.B * self.Hq * self.pairs * self.D

    @property
    def weight(self):
        """Rough seconds of a call at a middling peer, to run the quick cases first: arithmetic, and K and V read once for
        every query head where there is a single query."""
        bytes_read = 8.0 * self.B * self.Hq * self.Skv * self.D
        return self.flops / 50e9 + bytes_read / 5e9

    def path(self, kernel, threads):
        """Name of a result row: splits into columns, contains no dot and no blank."""
        return (
            f"attn/{kernel}/{self.dtype}/B:{self.B}/Hq:{self.Hq}/Hkv:{self.Hkv}/Sq:{self.Sq}/Skv:{self.Skv}"
            f"/Dqk:{self.D}/Dv:{self.D}/{self.mask}{f'/kv:{self.dtype}' if self.cached else ''}/T:{threads}/real_time"
        )


CASES = (
    Case("bert-base-512", "BERT-base, one sequence", 12, 12, 512, 512, 64),
    Case("bert-base-128-b8", "BERT-base, batch of 8 short sequences", 12, 12, 128, 128, 64, B=8),
    Case("vit-l16", "ViT-L/16, 224 x 224 pixels", 16, 16, 197, 197, 64),
    Case("whisper-cross", "Whisper large, text against 30 s of audio", 20, 20, 448, 1500, 64),
    Case("whisper-cross-step", "the same, one token at a time", 20, 20, 1, 1500, 64),
    Case("llama31-8b-512", "Llama 3.1 8B prefill", 32, 8, 512, 512, 128, "causal"),
    Case("llama31-8b-4096", "Llama 3.1 8B prefill", 32, 8, 4096, 4096, 128, "causal"),
    Case("mha-1024-d128", "the heads of Llama without groups", 8, 8, 1024, 1024, 128, "causal"),
    Case("long-16k", "16k tokens, one head", 1, 1, 16384, 16384, 64, "causal"),
    Case("d64", "head size 64", 8, 8, 1024, 1024, 64),
    Case("d80", "head size 80", 8, 8, 1024, 1024, 80),
    Case("d96", "head size 96", 8, 8, 1024, 1024, 96),
    Case("d128", "head size 128", 8, 8, 1024, 1024, 128),
    Case("d256", "head size 256", 8, 8, 1024, 1024, 256),
    Case("mask-bool", "BERT-base, three documents packed", 12, 12, 512, 512, 64, "bool"),
    Case("mask-additive", "BERT-base with a bias per head", 12, 12, 512, 512, 64, "additive"),
    Case("decode-4k", "Llama 3.1 8B, one token", 32, 8, 1, 4096, 128),
    Case("decode-32k", "Llama 3.1 8B, one token", 32, 8, 1, 32768, 128),
    Case("llama31-8b-512-bf16", "Llama 3.1 8B prefill", 32, 8, 512, 512, 128, "causal", "bf16"),
    Case("llama31-8b-512-f16", "Llama 3.1 8B prefill", 32, 8, 512, 512, 128, "causal", "f16"),
    Case("bert-base-512-bf16", "BERT-base, one sequence", 12, 12, 512, 512, 64, "none", "bf16"),
    Case("bert-base-512-f16", "BERT-base, one sequence", 12, 12, 512, 512, 64, "none", "f16"),
    Case("vit-l16-bf16", "ViT-L/16, 224 x 224 pixels", 16, 16, 197, 197, 64, "none", "bf16"),
    Case("whisper-cross-f16", "Whisper large, text against 30 s of audio", 20, 20, 448, 1500, 64, "none", "f16"),
    Case("d128-bf16", "head size 128", 8, 8, 1024, 1024, 128, "none", "bf16"),
    Case("prefill-4096-bf16", "a quarter of Llama's heads", 8, 2, 4096, 4096, 128, "causal", "bf16"),
    Case("decode-4k-bf16", "Llama 3.1 8B, one token", 32, 8, 1, 4096, 128, "none", "bf16"),
    Case("decode-4k-f16", "Llama 3.1 8B, one token", 32, 8, 1, 4096, 128, "none", "f16"),
    Case("decode-32k-bf16", "Llama 3.1 8B, one token", 32, 8, 1, 32768, 128, "none", "bf16"),
    Case("decode-32k-f16", "Llama 3.1 8B, one token", 32, 8, 1, 32768, 128, "none", "f16"),
    Case("decode-32k-f16-cache", "the same over libattn's KV cache", 32, 8, 1, 32768, 128, "none", "f16", cached=True),
)
