"""Which device a name means here, and what each is told to run a graph with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from galago.checkpoints.safetensors import SafetensorsFile
from galago.checkpoints.writing import write_arrays
from galago.engine.device import Device, cpu, find, listed
from galago.engine.graph import ops
from galago.engine.graph_cache import GraphCache
from galago.engine.network import Network
from galago.engine.precision import PrecisionPlan
from galago.engine.processor import language_options, options, product_format
from galago.engine.runtime import op, ov
from galago.errors import OptionError
from tests.helpers.devices import FakeCore


def names(device: str | None, vision: str | None = None, core: FakeCore | None = None) -> list[str]:
    found = find(device, vision, core or FakeCore("GPU.0", "GPU.1", "NPU"))
    return [found.vision.name, found.language.name, *(["later"] if found.meanwhile else [])]


@pytest.mark.parametrize("threads", [None, 3])
@pytest.mark.parametrize("stored", ["fp32", "bf16", "int8", "int4"])
def test_the_cpu_is_told_what_it_always_was(stored: str, threads: int | None) -> None:
    exact = stored == "fp32"
    told = cpu().settings(stored, threads, exact=exact)
    assert told == options(product_format(stored), threads)
    if stored != "int8":
        return
    plan = PrecisionPlan("fp32", "int8")
    assert cpu().settings("int8", threads, exact=False, decoder=True) == language_options(
        plan, threads
    )


def test_a_device_is_told_what_it_knows_in_the_numbers_it_has() -> None:
    core = FakeCore("GPU", "NPU")
    gpu, npu = Device("GPU", core), Device("NPU", core)
    told = gpu.settings("int8", 4, exact=False, decoder=True)
    assert told == {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": "f16",
        "KV_CACHE_PRECISION": "f16",
    }
    # int8 of a processor without bf16 keeps vision in float32: on a GPU it is f16 all the same.
    assert gpu.products("fp32", exact=False) == "f16" and gpu.products("fp32", exact=True) == "f32"
    assert npu.products("fp32", exact=True) == "f16"
    assert set(npu.settings("fp32", None, exact=True)) == {"PERFORMANCE_HINT", "NUM_STREAMS"}


def test_devices_that_are_joined_are_told_each_its_own() -> None:
    joined = Device("HETERO:GPU,CPU", FakeCore("GPU"))
    told = joined.settings("int8", 2, exact=False)["DEVICE_PROPERTIES"]
    assert told["GPU"]["INFERENCE_PRECISION_HINT"] == "f16"
    assert told["CPU"] == options(product_format("int8"), 2)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ((None, None), ["CPU", "CPU"]),
        (("GPU", None), ["GPU", "GPU"]),
        (("gpu.1", None), ["GPU.1", "GPU.1"]),
        ((None, "NPU"), ["NPU", "CPU"]),
        (("GPU", "NPU"), ["NPU", "GPU"]),
        (("NPU", None), ["NPU", "CPU"]),
        (("AUTO", None), ["GPU.0", "GPU.0", "later"]),
        (("AUTO:GPU.1,CPU", None), ["GPU.1", "GPU.1", "later"]),
        (("AUTO:NPU,CPU", None), ["NPU", "CPU", "later"]),
        (("AUTO:CPU", None), ["AUTO:CPU", "AUTO:CPU"]),
        (("HETERO:GPU, CPU", None), ["HETERO:GPU,CPU", "HETERO:GPU,CPU"]),
    ],
)
def test_what_a_name_means(asked: tuple[str | None, str | None], found: list[str]) -> None:
    assert names(*asked) == found


def test_auto_is_the_cpu_where_nothing_else_is() -> None:
    alone = FakeCore()
    alone.available_devices = ["CPU"]
    assert names("AUTO", core=alone) == names("AUTO:GPU,CPU", core=alone) == ["CPU", "CPU"]
    assert find("AUTO", None, alone).plain


def test_the_only_gpu_is_number_nought() -> None:
    assert names("GPU.0", core=FakeCore("GPU")) == ["GPU.0", "GPU.0"]
    with pytest.raises(OptionError, match=r"device GPU\.1 isn't here: use CPU or GPU or AUTO"):
        find("GPU.1", None, FakeCore("GPU"))


@pytest.mark.parametrize(
    "name", ["TPU", "", "GPU:CPU", "HETERO", "AUTO:TPU,CPU", "HETERO:GPU,", "MULTI:CPU"]
)
def test_what_is_no_device_is_refused(name: str) -> None:
    if name == "":
        assert find(name, None, FakeCore()).plain
        return
    with pytest.raises(OptionError, match="device"):
        find(name, None, FakeCore("GPU"))


def test_what_is_not_here_is_told_with_what_it_needs() -> None:
    alone = FakeCore()
    alone.available_devices = ["CPU"]
    with pytest.raises(OptionError, match=r"GPU isn't here: use CPU or AUTO; it needs Intel's"):
        find("GPU", None, alone)
    with pytest.raises(OptionError, match="NPU isn't here"):
        find(None, "NPU", alone)
    with pytest.raises(OptionError, match="GPU isn't here"):
        find("HETERO:GPU,CPU", None, alone)


def test_an_npu_says_that_it_only_sees() -> None:
    found = find("NPU", None, FakeCore("NPU"))
    assert found.vision.fixed and found.language.plain
    assert found.note == "NPU runs vision only: the language runs on the CPU"


def test_a_report_names_devices_and_drivers() -> None:
    own, gpu = listed(FakeCore("GPU.0"))
    assert own.startswith("CPU (")
    assert gpu == "GPU.0 (Pretended Graphics), driver 25.1, EXPORT_IMPORT FP16 FP32 INT8"


def test_a_kept_graph_is_of_one_device_and_one_driver(tmp_path: Path) -> None:
    matrix = np.random.default_rng(0).standard_normal((64, 64), dtype=np.float32)
    write_arrays(tmp_path / "model.safetensors", {"one": matrix})
    file = SafetensorsFile(tmp_path / "model.safetensors")
    cache = GraphCache(tmp_path / "graphs", file.state)

    def build() -> tuple[ov.Model, ops.Weights]:
        x = op.parameter([-1, 64], name="x", dtype=np.float32)
        product = op.matmul(x, ops.raw(file.tensors["one"]), transpose_a=False, transpose_b=True)
        return ov.Model([product], [x]), dict(file.tensors)

    def load(core: FakeCore, name: str) -> np.ndarray:
        device = Device(name, core)
        network = Network(build, device.settings("fp32", 1, exact=True), cache, "it", device)
        return network.run(network.new_request(), {"x": matrix[:2]})

    first, same, newer = FakeCore("GPU"), FakeCore("GPU"), FakeCore("GPU", driver="26.1")
    told = load(first, "GPU")
    assert np.array_equal(load(same, "GPU"), told)
    assert (same.compiled, same.imported) == ([], ["GPU"])
    load(newer, "GPU")
    load(newer, "CPU")
    assert newer.compiled == ["GPU", "CPU"] and newer.imported == []
    assert len(list((tmp_path / "graphs").glob("*.graph"))) == 3
