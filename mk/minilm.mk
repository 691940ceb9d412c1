# A real encoder through attn_layer: examples/minilm.py fetches and exports it, examples/minilm.c runs it. Optional, as
# `make peers` is, whose virtual environment it shares; no weights outside $(BUILD).
MINILM ?=

minilm: $(BUILD)/examples/minilm ## run all-MiniLM-L6-v2's layers, compare with the model's own output (MINILM='--sentence "..."')
	@python3 -B examples/minilm.py --build '$(BUILD)' $(MINILM) -o $(BUILD)/examples/minilm.f32
	@$(BUILD)/examples/minilm $(BUILD)/examples/minilm.f32

$(BUILD)/examples/%: examples/%.c $(BUILD)/libattn.a
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(CSTD) $(OPT) $(WARN) -Iinclude $(CPPFLAGS) -o $@ $< $(BUILD)/libattn.a -fopenmp $(LIB_LIBS)

.PHONY: minilm
