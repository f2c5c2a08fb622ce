"""The browser entry: page configuration and navigation, no logic.

Start it with `python -m streamlit run app/main.py` from the root of the checkout.
"""

from __future__ import annotations

import streamlit as st

from app import theme
from app.components import dialogs
from app.components.sign_in import admitted
from app.guard import boundary

PAGES = (
    ("overview", "Overview", ":material/dashboard:"),
    ("runs", "Runs", ":material/science:"),
    ("deploy", "Deploy", ":material/rocket_launch:"),
    ("traffic", "Traffic", ":material/swap_calls:"),
    ("monitor", "Monitor", ":material/monitoring:"),
    ("verdict", "Verdict", ":material/gavel:"),
)

st.set_page_config(page_title="Decant", page_icon="🍷", layout="wide")
dialogs.none_open()
st.logo(theme.logo(), size="medium")
st.html(theme.HEADER_STYLE)
inside = False
with boundary("The door"):
    inside = admitted()
page = st.navigation(
    [
        st.Page(f"../pages/{name}.py", title=title, icon=icon, url_path=name, default=name == "overview")
        for name, title, icon in PAGES
    ],
    position="top" if inside else "hidden",
)
if inside:
    with boundary("This page"):
        page.run()
