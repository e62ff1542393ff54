"""The papers' benchmarks of vision-language models, asked and judged by lmms-eval, unchanged."""
