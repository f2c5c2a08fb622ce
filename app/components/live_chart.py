"""A Plotly chart that refreshes in place.

`st.plotly_chart` makes its identity from the data, so each refresh throws the chart away and draws a new one: it
flickers and forgets the zoom. This component keeps one chart per key and hands it the new figure. Plotly itself is the
copy inside the installed `plotly` package, served by Streamlit's component route.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import plotly
import streamlit as st
import streamlit.components.v1 as components_v1
import streamlit.components.v2 as components_v2

_PLOTLY_NAME = "decant_plotly"
# Declared only for its route: /component/<module>.decant_plotly/plotly.min.js
_plotly_route = components_v1.declare_component(_PLOTLY_NAME, path=Path(plotly.__file__).parent / "package_data")
_mount = components_v2.component(
    "decant_live_chart",
    html='<div class="decant-chart"></div>',
    css=".decant-chart{width:100%;overflow:hidden} .decant-chart-message{padding:1rem;opacity:.8}",
    js=Path(__file__).with_suffix(".js").read_text(),
    isolate_styles=False,  # Plotly puts its style sheet into the page, where a shadow root would not see it
)


def live_chart(figure: dict[str, Any], *, key: str, alt: str) -> None:
    """Draw `figure` (`data` and `layout` as Plotly takes them, with a fixed layout height).

    Lines may carry the dark theme's colour as `meta.dark`; the browser picks, so no rerun is needed. `alt` describes
    the chart to those who cannot see it.
    """
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    library = f"/{base}/" if base else "/"
    library += f"component/{_plotly_route.name}/plotly.min.js?v={plotly.__version__}"
    _mount(key=key, data={"figure": figure, "library": library, "alt": alt}, height=figure["layout"]["height"])
