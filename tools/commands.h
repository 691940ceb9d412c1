/* Every subcommand, one line each, in the order of `attnbench --help`: COMMAND(name, group, summary). The function
 * int cmd_<name>(int, char **) stands in tools/cmd_<name>.c. */
COMMAND(run, "Measure", "check and time kernels; ends with a table")
COMMAND(verify, "Measure", "compare every kernel with the float64 oracle over odd problems")
COMMAND(results, "Measure", "check and time everything; a page with a section for this CPU")
COMMAND(peers, "Measure", "side by side with PyTorch, ONNX Runtime, OpenVINO, ggml and OpenBLAS (from a source tree)")
COMMAND(ab, "Compare", "two builds, kernels, ISAs, thread counts or environments, in turn, until it is clear")
COMMAND(compare, "Compare", "files of results side by side, with a verdict for every case")
COMMAND(gate, "Compare", "for CI: is this build slower than a baseline, beyond the noise of this machine")
COMMAND(doctor, "Inspect", "what about this machine makes times untrustworthy, and how to mend it")
COMMAND(info, "Inspect", "CPU, caches, cores, and each kernel: taken or passed over, and why")
COMMAND(attend, "Compute", "attention over your own tensors, from NumPy files to NumPy files")
COMMAND(explain, "Compute", "which token attends to which: a heat map of the weights")
COMMAND(conformance, "Check", "the ONNX Attention operator's test cases")
