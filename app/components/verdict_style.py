"""The look of what the Verdict page draws as HTML: cards and a table that fit a phone as well as a projector."""

from __future__ import annotations

from app import theme
from services.verdict.model import Call, Light
from services.verdict.report_style import DARK_LIGHTS, LIGHTS

STYLE = """<style>
.dv-line{border-left:8px solid var(--dv);padding:.35rem 0 .35rem 1.1rem}
.dv-call{display:flex;align-items:center;gap:.8rem;font-size:2.3rem;font-weight:650;line-height:1.15}
.dv-mark{display:inline-flex;align-items:center;justify-content:center;flex:none;width:1.15em;height:1.15em;
  border-radius:50%;border:.09em solid var(--dv);color:var(--dv);font-size:.9em;font-weight:700;line-height:1}
.dv-why{font-size:1.15rem;margin-top:.35rem}
.dv-quiet{opacity:.75;font-size:.9rem}
.dv-strip{display:grid;grid-template-columns:repeat(6,minmax(0,1fr));gap:.6rem}
.dv-strip>:nth-child(7){grid-column:1/-1}
.dv-card{border:1px solid rgba(128,128,128,.3);border-top:4px solid var(--dv);border-radius:.5rem;
  padding:.55rem .7rem .6rem;font-size:.9rem;line-height:1.35;overflow-wrap:anywhere}
.dv-card .dv-head{display:flex;gap:.45rem;align-items:center;font-weight:600;margin-bottom:.3rem}
.dv-card .dv-mark{width:1.35em;height:1.35em;font-size:.85em}
.dv-card .dv-advice{margin-top:.35rem;font-weight:600}
@media (max-width:1250px){.dv-strip{grid-template-columns:repeat(3,minmax(0,1fr))}}
@media (max-width:640px){.dv-strip{grid-template-columns:repeat(2,minmax(0,1fr))}}
.dv-table{width:100%;border-collapse:collapse;table-layout:fixed;line-height:1.3}
.dv-table th{text-align:left;font-weight:500;font-size:.9rem;padding:.25rem .5rem}
.dv-table td{padding:.4rem .5rem;vertical-align:top;overflow-wrap:break-word}
.dv-table .dv-first td{border-top:1px solid rgba(128,128,128,.3)}
.dv-table .dv-number{font-variant-numeric:tabular-nums}
.dv-table small{display:block;opacity:.75;font-size:.8rem}
.dv-primary{font-weight:650}
@media (max-width:640px){
  .dv-metrics,.dv-metrics tbody{display:block}
  .dv-metrics colgroup,.dv-metrics tr:not(:has(td)),.dv-metrics td:empty{display:none}
  .dv-metrics tr{display:grid;grid-template-columns:1fr 1fr;padding:.3rem 0}
  .dv-metrics td{padding:.15rem 0}
  .dv-metrics td:not([data-arm]){grid-column:1/-1}
  .dv-metrics [data-arm]::before{content:attr(data-arm) " ";opacity:.75}
  .dv-metrics .dv-first{border-top:1px solid rgba(128,128,128,.3)}
  .dv-metrics .dv-first td{border-top:0}
}
</style>"""


def light_color(light: Light) -> str:
    return (DARK_LIGHTS if theme.is_dark() else LIGHTS)[light]


def call_color(call: Call) -> str:
    """The winner's colour; the warning colour where there is none to be trusted; grey while all is open."""
    if call is Call.SHIP:
        return theme.arm_color(1)
    if call is Call.KEEP:
        return theme.arm_color(0)
    return light_color(Light.RED if call is Call.DISTRUST else Light.GREY)
