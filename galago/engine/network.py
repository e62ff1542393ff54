"""A compiled network to call: compiled once, its weights let go once it has packed its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from galago.checkpoints.tensors import Float
from galago.engine.device import Device, cpu
from galago.engine.graph_cache import Build, GraphCache, Settings, compiled
from galago.engine.runtime import ov

__all__ = ["Network"]


class Network:
    """What `build` makes, compiled for a device (the CPU), and the weights that it shares.

    Requests may run in several threads; one request in one at a time.
    """

    def __init__(
        self,
        build: Build,
        settings: Settings,
        cache: GraphCache | None,
        made_from: object,
        device: Device | None = None,
    ) -> None:
        """As galago.engine.graph_cache.compiled: from the cache, `build` isn't called."""
        # Constants share these bytes, and the compiled graph goes on using some of them in place.
        self._compiled, self._shared = compiled(device or cpu(), build, settings, cache, made_from)
        self._packed = False
        self._shared.let_go()

    def new_request(self) -> ov.InferRequest:
        """A request of its own: a state, and buffers; weights are shared."""
        return self._compiled.create_infer_request()

    def run(self, request: ov.InferRequest, inputs: Mapping[str, Any]) -> Float:
        """The first output, a float32 copy; inputs in numpy are read where they lie."""
        request.infer(dict(inputs), share_inputs=True)
        if not self._packed:  # by the first run all large weights are
            self._packed = True
            self._shared.let_go()
        return np.array(request.get_output_tensor(0).data, dtype=np.float32)

    def release(self) -> None:
        """Free what the last runs took.

        The engine keeps it even when the network is gone, so who makes many of them says so.
        """
        self._compiled.release_memory()

    def runtime_model(self) -> ov.Model:
        """The graph as it runs, for tests that look at fusions."""
        return self._compiled.get_runtime_model()
