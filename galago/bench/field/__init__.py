"""The whole field beside FastVLM and MobileCLIP2, as shapes with random weights, in two engines.

    models.VLMS, models.RIVALS   who is compared: towers, visual tokens, decoders, their sources
    rows.rows(settings)          what is measured: each tower and decoder once, at all its sizes
    parts.first_tokens(report)   a model's first token, the sum of its measured parts
    page.page(report)            docs/comparison.md; picture.py draws it

A tower or a decoder is shared by many models, so parts are measured, not models: the FastVLM paper
does the same (section 4, "Benchmarking": encoder latency plus prefill of the visual tokens).
"""
