"""ggml (what llama.cpp runs): flash_attn_ext on a graph of one node, planned once."""

import ctypes
import math

import numpy as np

from peer import Prepared, Unsupported
from tensors import PAGE, aligned, aligned_copy, widen

CONTEXT_BYTES = 4 << 20


class PeerGgml:
    name = "ggml"
    settings = (
        "`ggml_flash_attn_ext`, f32 accumulation, graph planned once, built for this CPU (-march=native); masks, "
        "causality included, as its f16 mask tensor; [B][H][S][D] in, [B][S][H][D] out"
    )

    def load(self):
        import ggml

        self.ggml = ggml
        ggml.ggml_cpu_init()
        self.types = {"f32": ggml.GGML_TYPE_F32, "f16": ggml.GGML_TYPE_F16, "bf16": ggml.GGML_TYPE_BF16}
        return ggml.ggml_version().decode()

    def _tensor(self, context, array, kind):
        shape = (1,) * (4 - array.ndim) + array.shape
        tensor = self.ggml.ggml_new_tensor_4d(context, self.types[kind], *reversed(shape))
        tensor.contents.data = array.ctypes.data
        return tensor

    def _mask(self, case, tensors):
        if case.mask == "none":
            return None
        if case.mask == "causal":
            mask = np.triu(np.full((case.Sq, case.Skv), -np.inf, np.float16), 1 + case.Skv - case.Sq)
        else:
            mask = tensors.additive_mask().astype(np.float16)
        shared = aligned(mask.shape, np.float16)
        shared[...] = mask
        return shared

    def prepare(self, case, tensors, threads):
        ggml = self.ggml
        # Queries are f32 in ggml whatever the cache holds.
        q = tensors.q
        if case.dtype != "f32":
            q = aligned_copy(widen(q, case.dtype))
        mask = self._mask(case, tensors)
        context = ggml.ggml_init(ggml.ggml_init_params(mem_size=CONTEXT_BYTES, mem_buffer=None, no_alloc=True))
        if not context:
            raise Unsupported("ggml_init failed")
        node = ggml.ggml_flash_attn_ext(
            context,
            self._tensor(context, q, "f32"),
            self._tensor(context, tensors.k, case.dtype),
            self._tensor(context, tensors.v, case.dtype),
            None if mask is None else self._tensor(context, mask, "f16"),
            1 / math.sqrt(case.D),
            0.0,
            0.0,
        )
        ggml.ggml_flash_attn_ext_set_prec(node, ggml.GGML_PREC_F32)
        out = aligned((case.B, case.Sq, case.Hq, case.D))
        node.contents.data = out.ctypes.data
        graph = ggml.ggml_new_graph(context)
        ggml.ggml_build_forward_expand(graph, node)
        plan = ggml.ggml_graph_plan(graph, threads, None)
        work = aligned((plan.work_size + PAGE,), np.uint8)
        plan.work_data = ctypes.cast(work.ctypes.data, ctypes.POINTER(ctypes.c_uint8))
        compute, reference = ggml.ggml_graph_compute, ctypes.byref(plan)

        def run():
            if compute(graph, reference):
                raise RuntimeError("ggml_graph_compute failed")

        return Prepared(
            run, lambda: out.transpose(0, 2, 1, 3), lambda: ggml.ggml_free(context), keep=(q, mask, work, plan, tensors)
        )
