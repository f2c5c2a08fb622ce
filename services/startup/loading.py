"""Failures of the model itself, and symptoms whose cause nobody knows."""

from __future__ import annotations

from services.startup.known import Known, log, state

LOADING: tuple[Known, ...] = (
    Known(
        "numpy-generation",
        (log(r"No module named '?numpy\._core"),),
        "The model was saved with numpy 2, and the model server runs numpy 1.",
        "Train and log the model with numpy<2: Seldon's servers pin it.",
    ),
    Known(
        "missing-module",
        (log(r"(?:No module named|needs the module) '?(?P<module>[\w.]+)'?"),),
        "The model needs the Python module {module}, which is not installed where it is loaded.",
        "Add its package to the model's requirements (code of your own: code_paths) and log it again; for the local "
        "engine, `pip install` it where Decant runs.",
    ),
    Known(
        "no-flavour",
        (log(r"(?:no python_function flavou?r|does not have the \"?python_function\"? flavor)"),),
        "The model has no python_function flavour, so MLflow cannot serve it.",
        "Log it with a flavour that has a predict function, or wrap it in mlflow.pyfunc.PythonModel.",
    ),
    Known(
        "untrusted-types",
        (log(r"UntrustedTypesFoundException|Untrusted types found"),),
        "The model holds types that skops does not load unless they are named as trusted.",
        "Log it with skops_trusted_types naming them, or with serialization_format='cloudpickle' if you trust it.",
    ),
    Known(
        "unpicklable",
        (
            log(
                r"(?:cannot be unpickled|UnpicklingError|unsupported pickle protocol|Can't get attribute|"
                r"invalid load key|pickle data was truncated|unknown opcode|code\(\) (?:argument|takes)|"
                r"EOFError|BadZipFile|incompatible dtype)"
            ),
        ),
        "The model cannot be unpickled: its libraries or its Python differ from those it was saved "
        "with, or the file is damaged.",
        "Compare its requirements and Python with the model server's; log it again with those versions.",
    ),
    Known(
        "wrong-columns",
        (log(r"Model is missing inputs (?P<columns>.+?)(?:\.| Note|$)"),),
        "The model wants its columns by name and did not get {columns}.",
        "Set the graph parameter xtype to DataFrame, and send the columns' names.",
    ),
    Known(
        "wrong-columns",
        (
            log(
                r"(?:Expected input to be DataFrame|Failed to enforce schema|feature names (?:should match|"
                r"unseen)|Incompatible input types)"
            ),
        ),
        "What reaches the model does not fit its signature.",
        "Set the graph parameter xtype to DataFrame for a model with named columns; send the types that it declares.",
    ),
    Known(
        "port-taken",
        (log(r"(?:port (?P<port>\d+) is taken|Address already in use)"),),
        "Its port {port} belongs to another program.",
        "Nothing: another port is taken at the next try. Widen DECANT_MODEL_PORT_FIRST to "
        "DECANT_MODEL_PORT_LAST if it recurs.",
    ),
    Known(
        "no-port",
        (state(r"no port from (?P<first>\d+) to (?P<last>\d+) is free"),),
        "No port from {first} to {last} is free for another model server.",
        "Delete a deployment, or widen DECANT_MODEL_PORT_FIRST to DECANT_MODEL_PORT_LAST.",
    ),
    Known(
        "load-failed",
        (log(r"The model did not start: (?P<why>.+)"),),
        "The model cannot be loaded: {why}",
        "Its own code raised this. Load it with mlflow.pyfunc.load_model in the same environment to see more.",
    ),
)
