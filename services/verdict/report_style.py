"""The look of a report: the colours of the arms as on every page of Decant, light on paper, dark on request.

Colours are CSS variables, so that one file follows whoever reads it. On a phone tables are stacked, or scroll where
their columns have to stand beside each other; no number is broken.
"""

from __future__ import annotations

from collections.abc import Mapping

from services.verdict.model import Light

COLOR_A, COLOR_B, NEUTRAL = "#7B1E3A", "#C8963E", "#77706F"
DARK_A, DARK_B, DARK_NEUTRAL = "#D9708F", "#E0B25F", "#A39C9B"
# Text colours of the lights; both reach 4.5:1 on their background, and a mark says the same without colour.
LIGHTS = {Light.GREEN: "#2E7D32", Light.AMBER: "#9A6700", Light.RED: "#B3261E", Light.GREY: "#6B6463"}
DARK_LIGHTS = {Light.GREEN: "#81C784", Light.AMBER: "#E8B04A", Light.RED: "#F2857E", Light.GREY: "#A39C9B"}

_ON_LIGHT = {
    "a": COLOR_A,
    "b": COLOR_B,
    "neutral": NEUTRAL,
    "ground": "#FFFFFF",
    "ink": "#2A2426",
    "quiet": "#6B6463",
    "line": "#E3DCD9",
    "faint": "#EFEAE8",
    "code": "#F7F4F2",
    **{light.value: color for light, color in LIGHTS.items()},
}
_ON_DARK = {
    "a": DARK_A,
    "b": DARK_B,
    "neutral": DARK_NEUTRAL,
    "ground": "#171416",
    "ink": "#EFE9EA",
    "quiet": "#B3ABAA",
    "line": "#3B3337",
    "faint": "#2C2629",
    "code": "#231E21",
    **{light.value: color for light, color in DARK_LIGHTS.items()},
}


def var(name: str) -> str:
    """The colour by its name: a, b, neutral, or that of a light."""
    return f"var(--{name})"


def _root(colors: Mapping[str, str], scheme: str) -> str:
    return f":root{{color-scheme:{scheme};{';'.join(f'--{name}:{color}' for name, color in colors.items())}}}"


STYLE = f"""<style>
{_root(_ON_LIGHT, "light")}
@media screen and (prefers-color-scheme:dark){{{_root(_ON_DARK, "dark")}}}
body{{margin:0;background:var(--ground);color:var(--ink);
  font:15px/1.45 "Source Sans 3","Source Sans Pro",system-ui,sans-serif}}
main{{max-width:860px;margin:0 auto;padding:2rem 1.25rem}}
header{{border-left:8px solid;padding:.2rem 0 .2rem 1.1rem;margin-bottom:1.5rem}}
h1{{font-size:2.4rem;line-height:1.15;margin:.1rem 0 .3rem}}
h2{{font-size:1.15rem;margin:2rem 0 .5rem;padding-bottom:.2rem;border-bottom:1px solid var(--line);break-after:avoid}}
p{{margin:.2rem 0;overflow-wrap:break-word}}
.why{{font-size:1.2rem}}
.quiet,footer{{color:var(--quiet);font-size:.9rem}}
footer{{margin-top:2.5rem;border-top:1px solid var(--line);padding-top:.6rem}}
table{{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}}
th{{text-align:left;font-weight:600;font-size:.85rem;color:var(--quiet)}}
th,td{{padding:.3rem .6rem .3rem 0;vertical-align:top;overflow-wrap:break-word}}
tbody tr{{border-top:1px solid var(--faint);break-inside:avoid}}
.facts,.metrics,.marks{{table-layout:fixed}}
.facts td:first-child{{width:32%;color:var(--quiet)}}
.checks td:first-child{{white-space:nowrap}}
.checks td+td{{width:26%}}
.checks td+td+td{{width:auto}}
.metrics th:nth-child(2),.metrics th:nth-child(3){{width:12%}}
.metrics th:nth-child(4){{width:27%}}
.marks th:nth-child(1){{width:19%}}
.marks th:nth-child(2){{width:13%}}
.marks th:nth-child(3){{width:36%}}
.wide{{overflow-x:auto}}
.wide td:not(:first-child){{white-space:nowrap}}
small{{display:block;color:var(--quiet);font-size:.82rem}}
svg{{display:block;width:100%;height:auto;margin:.3rem 0 .6rem}}
svg .tick{{font-size:11px;fill:var(--quiet)}}
svg .grid{{stroke:var(--faint)}}
svg .level{{stroke:var(--neutral)}}
svg .mark{{stroke:var(--neutral);stroke-dasharray:2 3}}
pre{{background:var(--code);padding:.6rem .8rem;white-space:pre-wrap;overflow-wrap:anywhere;font-size:.82rem}}
@media screen and (max-width:640px){{
  main{{padding:1.25rem 1rem}}
  h1{{font-size:2rem}}
  .facts,.facts tbody,.facts tr,.facts td,.metrics,.metrics tbody,.checks,.checks tbody,.marks,.marks tbody
    {{display:block;width:auto}}
  .facts td:first-child{{width:auto;padding:.3rem 0 0;font-size:.85rem}}
  .facts td:last-child{{padding:0 0 .3rem}}
  .metrics thead,.marks thead,.metrics td:empty{{display:none}}
  .metrics tr,.checks tr,.marks tr{{display:grid;grid-template-columns:1fr 1fr;gap:.15rem .6rem;padding:.4rem 0}}
  .metrics td,.checks td:nth-child(n),.marks td{{padding:0;width:auto}}
  .checks tr{{grid-template-columns:auto 1fr}}
  .metrics td:nth-child(1),.metrics td:nth-child(n+4),.checks td:nth-child(3),.marks td:nth-child(n+3)
    {{grid-column:1/-1}}
  .metrics td:nth-child(2)::before,.metrics td:nth-child(3)::before{{content:attr(data-of) " ";color:var(--quiet)}}
  .wide th,.wide td{{padding-right:.45rem}}
  svg .tick{{font-size:18px}}
}}
@media print{{main{{max-width:none;padding:0}} @page{{margin:16mm}} section{{break-inside:auto}}}}
</style>"""
