"""libattn.so through ctypes, as one more thing to time."""

import ctypes
import os

from header import Header
from peer import Prepared, Unsupported
from tensors import STORAGE, aligned, widen


class LibraryError(Exception):
    pass


class Library:
    name = "libattn"

    def __init__(self, so, header):
        self.header = Header(header)
        self.so = ctypes.CDLL(os.path.abspath(so))
        structs = self.header.structs
        pointer = ctypes.POINTER
        self.so.attn_plan_create.argtypes = (
            pointer(ctypes.c_void_p),
            pointer(structs["attn_desc"]),
            pointer(structs["attn_options"]),
        )
        self.so.attn_cache_create.argtypes = (pointer(ctypes.c_void_p), pointer(structs["attn_cache_desc"]))
        self.so.attn_cache_append.argtypes = (ctypes.c_void_p, ctypes.c_int64, pointer(structs["attn_tokens"]))
        self.so.attn_cache_destroy.argtypes = (ctypes.c_void_p,)
        self.so.attn_cache_destroy.restype = None
        self.so.attn_plan_create_cached.argtypes = (
            pointer(ctypes.c_void_p),
            pointer(structs["attn_desc"]),
            ctypes.c_void_p,
            pointer(structs["attn_options"]),
        )
        self.so.attn_run.argtypes = (ctypes.c_void_p, pointer(structs["attn_args"]))
        self.so.attn_plan_destroy.argtypes = (ctypes.c_void_p,)
        self.so.attn_plan_destroy.restype = None
        self.so.attn_plan_threads.argtypes = (ctypes.c_void_p,)
        for function, arguments in (
            ("attn_plan_kernel", (ctypes.c_void_p,)),
            ("attn_error_message", ()),
            ("attn_version", ()),
        ):
            getattr(self.so, function).argtypes = arguments
            getattr(self.so, function).restype = ctypes.c_char_p
        self.version = self.so.attn_version().decode()

    def supports_dtype(self, dtype):
        return dtype in self.header.dtypes

    def _error(self):
        return self.so.attn_error_message().decode()

    def _fill_cache(self, case, tensors):
        """A cache that holds the case's K and V."""
        structs, cache = self.header.structs, ctypes.c_void_p()
        desc = structs["attn_cache_desc"](
            dtype=self.header.dtypes[case.dtype], B=case.B, Hkv=case.Hkv, Dqk=case.D, Dv=case.D, capacity=case.Skv
        )
        if self.so.attn_cache_create(ctypes.byref(cache), ctypes.byref(desc)):
            raise LibraryError(self._error())
        strides = structs["attn_strides"](0, case.Skv * case.D, case.D, 1)
        for b in range(case.B):
            tokens = structs["attn_tokens"](
                dtype=self.header.dtypes[case.dtype],
                n=case.Skv,
                k=tensors.k[b].ctypes.data,
                v=tensors.v[b].ctypes.data,
                k_stride=strides,
                v_stride=strides,
            )
            if self.so.attn_cache_append(cache, b, ctypes.byref(tokens)):
                raise LibraryError(self._error())
        return cache

    def prepare(self, case, tensors, threads):
        constants, structs = self.header.constants, self.header.structs
        if not self.supports_dtype(case.dtype):
            raise Unsupported(f"this libattn has no {case.dtype} yet")
        desc = structs["attn_desc"](
            dtype=self.header.dtypes[case.dtype],
            layout=constants["ATTN_BHSD"],
            B=case.B,
            Hq=case.Hq,
            Hkv=case.Hkv,
            Sq=case.Sq,
            Skv=case.Skv,
            Dqk=case.D,
            Dv=case.D,
        )
        if case.mask == "causal":
            desc.flags = constants["ATTN_CAUSAL"]
        elif case.mask == "bool":
            desc.mask.kind = constants["ATTN_MASK_BOOL"]
        elif case.mask == "additive":
            desc.mask.kind = constants["ATTN_MASK_ADDITIVE"]
            desc.mask.stride = structs["attn_strides"](0, case.Sq * case.Skv, case.Skv, 1)
        # Nobody pins beyond the affinity mask that all share, neither the peers nor this library.
        options = structs["attn_options"](threads=threads, placement=constants["ATTN_PLACE_NONE"])
        plan = ctypes.c_void_p()
        cache = self._fill_cache(case, tensors) if case.cached else None
        if cache:
            status = self.so.attn_plan_create_cached(ctypes.byref(plan), ctypes.byref(desc), cache, ctypes.byref(options))
        else:
            status = self.so.attn_plan_create(ctypes.byref(plan), ctypes.byref(desc), ctypes.byref(options))
        if status == constants["ATTN_ERR_UNSUPPORTED"]:
            raise Unsupported(self._error())
        if status:
            raise LibraryError(self._error())
        out = aligned((case.B, case.Hq, case.Sq, case.D), STORAGE[case.dtype])
        args = structs["attn_args"](
            q=tensors.q.ctypes.data,
            k=None if cache else tensors.k.ctypes.data,
            v=None if cache else tensors.v.ctypes.data,
            o=out.ctypes.data,
            mask=None if tensors.mask is None else tensors.mask.ctypes.data,
        )
        attn_run, reference, ok = self.so.attn_run, ctypes.byref(args), constants["ATTN_OK"]

        def run():
            if attn_run(plan, reference) != ok:
                raise LibraryError(self._error())

        def close():
            self.so.attn_plan_destroy(plan)
            self.so.attn_cache_destroy(cache)

        prepared = Prepared(run, lambda: widen(out, case.dtype), close)
        prepared.kernel = self.so.attn_plan_kernel(plan).decode()
        prepared.threads = self.so.attn_plan_threads(plan)
        prepared.keep = (tensors, args, out)
        return prepared
