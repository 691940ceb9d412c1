"""ONNX Runtime: the fused operators of its own domain and the operator of the ONNX standard, buffers bound in place."""

import numpy as np

from peer import Prepared, Unsupported
from tensors import STORAGE, aligned, widen

OPSET, CONTRIB_OPSET, IR_VERSION = 23, 1, 10


class _Ort:
    domain = "com.microsoft"

    def load(self):
        import onnx
        import onnxruntime

        self.ort, self.onnx = onnxruntime, onnx
        onnxruntime.set_default_logger_severity(3)
        types = onnx.TensorProto
        self.element = {
            "f32": types.FLOAT,
            "f16": types.FLOAT16,
            "bf16": types.BFLOAT16,
            "i32": types.INT32,
            "bool": types.BOOL,
        }
        return onnxruntime.__version__

    def _session(self, operator, inputs, outputs, order, attributes, threads):
        """inputs and outputs: {name: (array, type)}; order: the operator's input names, "" for one left out."""
        helper = self.onnx.helper
        describe = lambda tensors: [
            helper.make_tensor_value_info(name, self.element[kind], array.shape) for name, (array, kind) in tensors.items()
        ]
        node = helper.make_node(operator, order, list(outputs), domain=self.domain, **attributes)
        graph = helper.make_graph([node], "attention", describe(inputs), describe(outputs))
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", CONTRIB_OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
        options = self.ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        session = self.ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        binding = session.io_binding()
        for name, (array, kind) in inputs.items():
            binding.bind_input(name, "cpu", 0, self.element[kind], array.shape, array.ctypes.data)
        for name, (array, kind) in outputs.items():
            binding.bind_output(name, "cpu", 0, self.element[kind], array.shape, array.ctypes.data)
        return session, binding

    def _prepared(self, operator, inputs, outputs, order, attributes, threads, view, dtype):
        try:
            session, binding = self._session(operator, inputs, outputs, order, attributes, threads)
            run = lambda: session.run_with_iobinding(binding)
            run()
        except Exception as error:  # its exception types are not exported
            raise Unsupported(str(error).splitlines()[0].split(" : ")[-1]) from None
        out = next(iter(outputs.values()))[0]
        return Prepared(run, lambda: view(widen(out, dtype)), keep=(session, binding, inputs, outputs))


def heads_last(case):
    """[B][Sq][Hq*D] seen as [B][Hq][Sq][D]."""
    return lambda out: out.reshape(case.B, case.Sq, case.Hq, case.D).transpose(0, 2, 1, 3)


class PeerOrtMha(_Ort):
    name = "ort-mha"
    settings = "`com.microsoft.MultiHeadAttention`, masks as `attention_bias`; [B][S][H*D]"

    def prepare(self, case, tensors, threads):
        if case.G > 1:
            raise Unsupported("the operator has no grouped heads")
        kind = case.dtype
        inputs = {name: (tensors.bshd(name), kind) for name in "qkv"}
        order = ["q", "k", "v"]
        if case.mask in ("bool", "additive"):
            inputs["bias"] = (tensors.additive_mask()[None], "f32")
            order += ["", "", "bias"]
        out = aligned((case.B, case.Sq, case.Hq * case.D), STORAGE[kind])
        attributes = {"num_heads": case.Hq, "unidirectional": int(case.mask == "causal")}
        return self._prepared(
            "MultiHeadAttention", inputs, {"o": (out, kind)}, order, attributes, threads, heads_last(case), kind
        )


class PeerOrtGqa(_Ort):
    name = "ort-gqa"
    settings = (
        "`com.microsoft.GroupQueryAttention`; [B][S][H*D]; one token: past and present share the cache, as its "
        "generation loop does"
    )

    def prepare(self, case, tensors, threads):
        step = case.Sq == 1 and case.mask == "none"
        if case.mask != "causal" and not step:
            raise Unsupported("the operator is always causal" if case.mask == "none" else "no dense mask beside causality")
        kind, fresh = case.dtype, 1 if step else case.Skv
        inputs = {"q": (tensors.bshd("q"), kind)}
        cache = {}
        for name in "kv":
            inputs[name] = (np.ascontiguousarray(tensors.bshd(name)[:, -fresh:]), kind)
            # In the steady state of a generation loop the cache holds the earlier tokens; the step appends its own.
            cache[name] = getattr(tensors, name) if step else aligned((case.B, case.Hkv, case.Skv, case.D), STORAGE[kind])
        order = ["q", "k", "v", "", ""]
        if step:
            inputs["past_k"], inputs["past_v"] = (cache["k"], kind), (cache["v"], kind)
            order[3:] = ["past_k", "past_v"]
        inputs["last"] = (np.full(case.B, case.Skv - 1, np.int32), "i32")
        inputs["total"] = (np.array([case.Skv], np.int32), "i32")
        out = aligned((case.B, case.Sq, case.Hq * case.D), STORAGE[kind])
        outputs = {"o": (out, kind), "present_k": (cache["k"], kind), "present_v": (cache["v"], kind)}
        attributes = {"num_heads": case.Hq, "kv_num_heads": case.Hkv}
        return self._prepared(
            "GroupQueryAttention", inputs, outputs, [*order, "last", "total"], attributes, threads, heads_last(case), kind
        )


class PeerOrtAttention(_Ort):
    name = "ort-attention"
    domain = ""
    settings = f"the standard's `Attention`, opset {OPSET}; [B][H][S][D]"

    def prepare(self, case, tensors, threads):
        kind = case.dtype
        inputs = {name: (getattr(tensors, name), kind) for name in "qkv"}
        order = ["q", "k", "v"]
        if case.mask == "bool":
            inputs["mask"] = (tensors.mask, "bool")
        elif case.mask == "additive":
            inputs["mask"] = (tensors.mask[None], "f32")
        if "mask" in inputs:
            order.append("mask")
        out = aligned((case.B, case.Hq, case.Sq, case.D), STORAGE[kind])
        return self._prepared(
            "Attention",
            inputs,
            {"o": (out, kind)},
            order,
            {"is_causal": int(case.mask == "causal")},
            threads,
            lambda array: array,
            kind,
        )
