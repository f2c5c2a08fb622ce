"""One model, one process: serves an MLflow model over Seldon's protocol (v1) and the Open Inference Protocol (V2).

Start it with `python -m services.runtime.model_server --help`. The parts, from the outside in:

    door          HTTP (granian, RSGI): paths, bodies, size limit; knows nothing about models
    dataplane     what each path does; transport-free
    seldon, open_inference      the two wire formats -> rows, and answers -> bytes
    columns, tensors, freeform  rows -> checked values in the model's own types, mergeable with others of their kind
    batching      merges waiting requests into one predict call
    model, answers              the loaded model, and what it returned, in one shape
    feedback      counts rewards, or passes them to the arm that earned them
    instruments   Seldon's metrics
    loading       model URI -> files on disk (cached) -> model
    server        life: bind, load, serve, drain

Unpickling, and with it all foreign code, happens only in this process.
"""
