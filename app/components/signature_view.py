"""A model for people, in short: its address, what it wants, what it answers."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app import format as fmt
from services.schema import Signature


def draw_signature(signature: Signature) -> None:
    """Inputs as a table, outputs in a line."""
    if signature.columns:
        table = pd.DataFrame(
            [
                (c.name, c.type.value, "required" if c.required else "optional", "" if c.example is None else c.example)
                for c in signature.columns
            ],
            columns=["Input", "Type", "", "Example"],
        )
        table["Example"] = table["Example"].astype(str)
        st.dataframe(table, hide_index=True, height=38 + 35 * min(len(table), 12))
    elif signature.tensors:
        st.markdown("\n".join(f"- `{t.name or 'input'}`: {t.dtype} {list(t.shape)}" for t in signature.tensors))
    else:
        st.caption("The model declares no signature; requests to it are written as JSON.")
    if signature.outputs:
        st.caption(f"Answers: {', '.join(signature.outputs)}")


def summary(signature: Signature) -> str:
    """The inputs in a few words: `11 columns`, `tensor float64 [-1, 28, 28]`, `no signature`."""
    if signature.columns:
        return f"{fmt.count(len(signature.columns))} columns"
    if signature.tensors:
        return ", ".join(f"tensor {t.dtype} {list(t.shape)}" for t in signature.tensors)
    return "no signature"


def short_uri(uri: str, limit: int = 44) -> str:
    """A model's URI cut in the middle, so that both its scheme and the end of its id can be read."""
    return uri if len(uri) <= limit else f"{uri[: limit - 12]}…{uri[-10:]}"
