"""What a visitor's session runs: page configuration and navigation, no logic. `server.py` serves it."""

from __future__ import annotations

import streamlit as st

from app import asked, theme
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
st.html(theme.STYLE)
inside = False
with boundary("The door"):
    inside = admitted()
made = [
    st.Page(f"../pages/{name}.py", title=title, icon=icon, url_path=name, default=name == "overview")
    for name, title, icon in PAGES
]
pages = {one.url_path: one for one in made}
page = st.navigation(made, position="top" if inside else "hidden")
if inside:
    if (wanted := asked.lead_on(page.url_path, pages)) is not None:
        st.switch_page(pages[wanted[0]], query_params=wanted[1])
    with boundary("This page"):
        page.run()
    with boundary("This dialog"):
        dialogs.draw_asked()
    asked.forget()
else:
    asked.remember(page.url_path)
