"""What a peer is. Its module is imported only in a worker process, so an import that crashes costs that peer alone.

A peer class has a name, `settings` (one line for the page: which call, which options), `load()` which imports what it
needs and returns a version, and `prepare(case, tensors, threads)` which does everything that is not counted (conversion of
layout, building a graph, allocating outputs) and returns a Prepared, or raises Unsupported with the reason."""

from dataclasses import dataclass, field
from typing import Any, Callable


class Unsupported(Exception):
    pass


@dataclass
class Prepared:
    run: Callable[[], Any]  # what is timed
    output: Callable[[], Any]  # float32 [B][Hq][Sq][D] of the latest run, any strides
    close: Callable[[], Any] = lambda: None
    before_turn: Callable[[], Any] = lambda: None  # not counted; puts back a state that the calls of a turn change
    first_run: Any = None  # what computes the output that is checked, where that is not run
    kernel: str = ""
    threads: int = 0
    keep: Any = field(default=None, repr=False)  # whatever must outlive the calls


# name -> module; the class is called Peer<Something> and is found by its name. In the order of the table.
MODULES = {
    "torch": "peer_torch",
    "torch-flash": "peer_torch",
    "ort-mha": "peer_ort",
    "ort-gqa": "peer_ort",
    "ort-attention": "peer_ort",
    "openvino": "peer_openvino",
    "ggml": "peer_ggml",
    "openblas": "peer_openblas",
}
