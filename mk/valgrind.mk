valgrind: build ## every command under valgrind (a few minutes)
	-@tools/deps.sh valgrind
	tests/valgrind.sh $(BUILD)/attnbench

.PHONY: valgrind
