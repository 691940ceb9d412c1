"""OpenVINO: a prefill as a stateless graph of static shape, a single token as a stateful one.

The CPU plugin keeps the ScaledDotProductAttention node only where it stands on a stateful cache; elsewhere it takes the
node apart and fuses the pieces again into one generated kernel. Each case gets the form its users have.
"""

import numpy as np

from peer import Prepared, Unsupported
from tensors import STORAGE, aligned, widen


class PeerOpenvino:
    name = "openvino"
    settings = (
        "opset13 `scaled_dot_product_attention`, LATENCY, 1 stream, groups by Unsqueeze, Broadcast, Reshape as exporters "
        "write them; a prefill with static shape and [B][H][S][D]; one token with a stateful cache (ReadValue, Gather, "
        "Concat, Assign) of the tensors' type, refilled before every turn; precision hint: the tensors' type, f32 where "
        "the CPU has no arithmetic of that type"
    )

    def load(self):
        import openvino
        from openvino import opset6, opset13
        from openvino.op import util

        self.ov, self.op, self.read_value, self.assign, self.util = (
            openvino,
            opset13,
            opset6.read_value,
            opset6.assign,
            util,
        )
        self.core = openvino.Core()
        self.types = {"f32": openvino.Type.f32, "f16": openvino.Type.f16, "bf16": openvino.Type.bf16}
        self.fast = self.core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return openvino.__version__.split("-")[0]

    def _tensor(self, array, dtype):
        if dtype == "bf16":
            return self.ov.Tensor(array, array.shape, self.types[dtype])
        return self.ov.Tensor(array, shared_memory=True)

    def _grouped(self, case, node):
        if case.G == 1:
            return node
        op = self.op
        wide = op.broadcast(
            op.unsqueeze(node, np.int64(2)), np.array([1, 1, case.G, 1, 1], np.int64), broadcast_spec="BIDIRECTIONAL"
        )
        return op.reshape(wide, np.array([0, case.Hq, -1, case.D], np.int64), special_zero=True)

    def _request(self, case, model, threads):
        hint = case.dtype if {"f16": "FP16", "bf16": "BF16"}.get(case.dtype) in self.fast else "f32"
        compiled = self.core.compile_model(
            model,
            "CPU",
            {
                "PERFORMANCE_HINT": "LATENCY",
                "NUM_STREAMS": 1,
                "INFERENCE_NUM_THREADS": threads,
                "INFERENCE_PRECISION_HINT": hint,
                "KV_CACHE_PRECISION": case.dtype,
                "ENABLE_CPU_PINNING": False,
            },
        )
        return compiled, compiled.create_infer_request()

    def prepare(self, case, tensors, threads):
        step = case.Sq == 1 and case.mask == "none"
        try:
            return (self._prepare_step if step else self._prepare_prefill)(case, tensors, threads)
        except RuntimeError as error:
            raise Unsupported(str(error).strip().splitlines()[-1]) from None

    def _prepare_prefill(self, case, tensors, threads):
        op, kind = self.op, self.types[case.dtype]
        arrays = [tensors.q, tensors.k, tensors.v]
        inputs = [op.parameter(list(array.shape), kind) for array in arrays]
        nodes = [inputs[0], self._grouped(case, inputs[1]), self._grouped(case, inputs[2])]
        bound = [self._tensor(array, case.dtype) for array in arrays]
        if case.mask in ("bool", "additive"):
            mask = tensors.mask[None, None] if case.mask == "bool" else tensors.mask[None]
            inputs.append(
                op.parameter(list(mask.shape), self.ov.Type.boolean if case.mask == "bool" else self.types["f32"])
            )
            nodes.append(inputs[-1])
            bound.append(self._tensor(mask, "f32"))
        out = aligned((case.B, case.Hq, case.Sq, case.D), STORAGE[case.dtype])
        node = op.scaled_dot_product_attention(*nodes, causal=case.mask == "causal")
        compiled, request = self._request(case, self.ov.Model([node], inputs), threads)
        for port, tensor in zip(compiled.inputs, bound):
            request.set_tensor(port, tensor)
        request.set_tensor(compiled.output(0), self._tensor(out, case.dtype))
        return Prepared(request.infer, lambda: widen(out, case.dtype), keep=(compiled, request, bound, tensors))

    def _prepare_step(self, case, tensors, threads):
        op, kind, shape = self.op, self.types[case.dtype], self.ov.PartialShape
        q = op.parameter(shape([-1, case.Hq, -1, case.D]), kind)
        k, v = (op.parameter(shape([-1, case.Hkv, -1, case.D]), kind) for _ in "kv")
        beam = op.parameter(shape([-1]), np.int32)
        sinks, heads = [], [q]
        for name, fresh in (("k", k), ("v", v)):
            info = self.util.VariableInfo()
            info.data_shape, info.data_type, info.variable_id = shape([-1, case.Hkv, -1, case.D]), kind, name
            variable = self.util.Variable(info)
            empty = op.constant(np.zeros((1, case.Hkv, 0, case.D), np.float32), kind)
            past = op.gather(self.read_value(empty, variable), beam, op.constant(np.int64(0)))
            whole = op.concat([past, fresh], 2)
            sinks.append(self.assign(whole, variable))
            heads.append(self._grouped(case, whole))
        model = self.ov.Model([op.result(op.scaled_dot_product_attention(*heads))], sinks, [q, k, v, beam])
        compiled, request = self._request(case, model, threads)
        last = [np.ascontiguousarray(t[:, :, -1:]) for t in (tensors.k, tensors.v)]
        past = {name: np.ascontiguousarray(t[:, :, :-1]) for name, t in (("k", tensors.k), ("v", tensors.v))}
        bound = [self._tensor(array, case.dtype) for array in (tensors.q, *last)]
        bound.append(self.ov.Tensor(np.arange(case.B, dtype=np.int32)))
        for port, tensor in zip(compiled.inputs, bound):
            request.set_tensor(port, tensor)
        states = [(state, self._tensor(past[state.name], case.dtype)) for state in request.query_state()]

        def refill():
            """Back to Skv - 1 tokens, then one uncounted step, which makes room for the counted ones."""
            for state, tensor in states:
                state.state = tensor
            request.infer()

        refill()

        def output():
            stored = request.get_tensor(compiled.output(0)).data.view(STORAGE[case.dtype])
            return widen(stored, case.dtype).reshape(case.B, case.Hq, 1, case.D)

        return Prepared(request.infer, output, before_turn=refill, first_run=refill, keep=(compiled, bound, past, tensors))
