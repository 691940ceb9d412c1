# Read by the tests that run every command: small files for all of them, made in the current folder by make_inputs.

# npy FILE SHAPE FLOATS: zeros.
npy() {
  printf '\x93NUMPY\x01\x00\x76\x00%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': ($2), }" > "$1"
  head -c $((4 * $3)) /dev/zero >> "$1"
}

# results FILE FACTOR: a file of results of two cases.
results() {
  {
    printf '{"context": {"date": "2026-01-0%sT12:00:00+00:00", "host_name": "h", "num_cpus": 2, "cpu_model": "c"}, "benchmarks": [' "$2"
    for i in 0 1 2 3 4; do
      printf '%s{"name": "a", "run_type": "iteration", "repetition_index": %s, "real_time": %s.%s, "time_unit": "ms"},' "" $i "$2" $i
      printf '{"name": "b", "run_type": "iteration", "repetition_index": %s, "real_time": 5.%s, "time_unit": "ms"}' $i $i
      [ $i = 4 ] || printf ','
    done
    printf ']}'
  } > "$1"
}

make_inputs() {
  npy q.npy '1, 2, 5, 8' 80
  npy k.npy '1, 2, 7, 8' 112
  npy v.npy '1, 2, 7, 8' 112
  results a.json 1
  results b.json 2
  mkdir case
  cp q.npy case/in_Q.npy
  cp k.npy case/in_K.npy
  cp v.npy case/in_V.npy
  cp q.npy case/out_Y.npy
  cat > case/case.json <<'END'
{"op": "Attention", "opset": [["", 24]], "attributes": {},
 "inputs": [{"name": "Q", "slot": 0, "dtype": "float32", "shape": [1, 2, 5, 8]},
  {"name": "K", "slot": 1, "dtype": "float32", "shape": [1, 2, 7, 8]},
  {"name": "V", "slot": 2, "dtype": "float32", "shape": [1, 2, 7, 8]}],
 "outputs": [{"name": "Y", "slot": 0, "dtype": "float32", "shape": [1, 2, 5, 8]}]}
END
}
