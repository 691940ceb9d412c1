# The ONNX Attention operator by its own tests and its reference evaluator (tests/onnx/cases.py). Optional, as `make peers` is,
# whose virtual environment it shares.
ONNX ?=
ONNX_ISAS := scalar $(if $(filter x86_64,$(ARCH)),avx2)

test-onnx: $(BUILD)/attnbench ## conformance with all node tests of the package onnx and random cases (ONNX='--random 1000 --seed 2')
	@python3 -B tests/onnx/cases.py --build '$(BUILD)' $(ONNX) -o $(BUILD)/onnx-cases
	@for isa in $(ONNX_ISAS) ''; do \
	  ATTN_ISA=$$isa $(BUILD)/attnbench conformance $(BUILD)/onnx-cases >$(BUILD)/onnx-cases.log; code=$$?; \
	  grep -v '^pass' $(BUILD)/onnx-cases.log | sed "s/^/ISA $${isa:-of this CPU}: /"; [ $$code = 0 ] || exit $$code; done

.PHONY: test-onnx
