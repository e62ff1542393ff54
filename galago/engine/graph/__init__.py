"""The networks as OpenVINO graphs: pure functions of tensors and a spec."""
