"""MobileCLIP on the field's benchmarks: clip_benchmark's data and metrics, galago's vectors."""
