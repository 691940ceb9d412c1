"""PyTorch: scaled_dot_product_attention, the backend left to it, and the flash backend called directly."""

from peer import Prepared, Unsupported


class _Torch:
    def load(self):
        import torch

        self.torch = torch
        return torch.__version__

    def _tensor(self, array, dtype):
        tensor = self.torch.from_numpy(array)
        return tensor.view(self.torch.bfloat16) if dtype == "bf16" else tensor

    def prepare(self, case, tensors, threads):
        torch = self.torch
        torch.set_num_threads(threads)
        q, k, v = (self._tensor(t, case.dtype) for t in (tensors.q, tensors.k, tensors.v))
        call = self._call(case, tensors, q, k, v)
        inference_mode, latest = torch.inference_mode, [None]

        def run():
            with inference_mode():
                latest[0] = call()

        try:
            run()
        except (RuntimeError, NotImplementedError) as error:
            raise Unsupported(str(error).splitlines()[0]) from None
        return Prepared(run, lambda: self._result(latest[0]).float().numpy(), keep=tensors)

    def _result(self, output):
        return output


class PeerTorch(_Torch):
    name = "torch"
    settings = "`scaled_dot_product_attention` in `inference_mode`, backend chosen by PyTorch; [B][H][S][D]"

    def _call(self, case, tensors, q, k, v):
        options = {"is_causal": case.mask == "causal", "enable_gqa": case.G > 1}
        if case.mask in ("bool", "additive"):
            mask = self._tensor(tensors.mask, "f32")
            options["attn_mask"] = mask.expand(1, *(1,) * (3 - mask.dim()), *mask.shape)
        attention = self.torch.nn.functional.scaled_dot_product_attention
        return lambda: attention(q, k, v, **options)


class PeerTorchFlash(_Torch):
    """sdpa_kernel(FLASH_ATTENTION) costs tens of microseconds each time it is entered, and a model enters it once; so the
    operator that it leads to is called, which costs nothing."""

    name = "torch-flash"
    settings = (
        "the flash backend forced: `torch.ops.aten._scaled_dot_product_flash_attention_for_cpu` in `inference_mode`; "
        "[B][H][S][D]"
    )

    def _call(self, case, tensors, q, k, v):
        mask = None
        if case.mask in ("bool", "additive"):
            mask = self.torch.from_numpy(tensors.additive_mask())[None]
        attention = self.torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        causal = case.mask == "causal"
        return lambda: attention(q, k, v, 0.0, causal, attn_mask=mask)

    def _result(self, output):
        return output[0]
