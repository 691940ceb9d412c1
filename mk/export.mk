# attnbench export, read by the tools that its formats are for. They come from PyPI, once; the first time takes a minute or two.
PYTHON ?= python3
TEST_SUITES += export
suite_export := PYTHONDONTWRITEBYTECODE=1 $(PYTHON) tests/export/consumers.py $(BUILD)/attnbench $(BUILD)/export-venv
suite_export_needs := $(BUILD)/attnbench
suite_export_seconds := 600
