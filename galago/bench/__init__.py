"""How fast galago is on this machine, beside its peers: rows, each in a process of its own.

    plan.rows(settings)        what is measured; vlm/ and clip/ hold it, the peers' work too
    run.Run(...).all(rows)     measures what is missing, and keeps each finished row
    page.told(run, rows)       the tables as Markdown; page.write_pages(...) their files

galago is measured as people use it: through FastVLM, MobileCLIP, albums and its commands. Random
models and albums are written in the layouts of the rooms that read them. Peers (torch, ONNX
Runtime) are looked for when their rows come.
"""
