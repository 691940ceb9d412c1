# Side by side with other libraries. Optional: nothing else depends on it, and it writes nothing outside $(BUILD) but the
# page. The peers come first, so that a missing network or an unwritable folder is told before anything is compiled.
PYTHON ?= python3
PEERS  ?= --markdown docs/peers.md --json $(BUILD)/peers/peers.json

peers: ## compare with PyTorch, ONNX Runtime, OpenVINO, ggml, OpenBLAS (PEERS="--case ... --threads ..."; ~14 minutes)
	@PYTHONDONTWRITEBYTECODE=1 $(PYTHON) tools/peers/main.py --build '$(BUILD)' $(PEERS) --prepare
	@$(MAKE) --no-print-directory lib
	@PYTHONDONTWRITEBYTECODE=1 CC='$(CC)' $(PYTHON) tools/peers/main.py --build '$(BUILD)' $(PEERS)

.PHONY: peers
