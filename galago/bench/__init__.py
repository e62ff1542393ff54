"""How fast galago is on this machine, beside its peers: rows, each in a process of its own.

    plan.rows(quick=True)      what is measured
    run.Run(...).all(rows)     measures what is missing, and keeps each finished row
    page.page(report)          Markdown of a report; picture.py draws it

galago is used through its public API, as people use it; only building random models reaches into
the engine. Peers (torch, ONNX Runtime) are looked for when their rows come.
"""
