"""The look of a report: light, since it is meant for paper, in the colours of the arms on every page of Decant."""

from __future__ import annotations

from services.verdict.model import Light

COLOR_A, COLOR_B, NEUTRAL = "#7B1E3A", "#C8963E", "#77706F"
LIGHTS = {Light.GREEN: "#2E7D32", Light.AMBER: "#9A6700", Light.RED: "#B3261E", Light.GREY: "#6B6463"}

STYLE = """<style>
:root{color-scheme:light}
body{margin:0;background:#fff;color:#2A2426;font:15px/1.45 "Source Sans 3","Source Sans Pro",system-ui,sans-serif}
main{max-width:860px;margin:0 auto;padding:2rem 1.25rem}
header{border-left:8px solid;padding:.2rem 0 .2rem 1.1rem;margin-bottom:1.5rem}
h1{font-size:2.4rem;line-height:1.15;margin:.1rem 0 .3rem}
h2{font-size:1.15rem;margin:2rem 0 .5rem;padding-bottom:.2rem;border-bottom:1px solid #E3DCD9;break-after:avoid}
p{margin:.2rem 0}
.why{font-size:1.2rem}
.quiet,footer{color:#6B6463;font-size:.9rem}
footer{margin-top:2.5rem;border-top:1px solid #E3DCD9;padding-top:.6rem}
table{border-collapse:collapse;width:100%}
th{text-align:left;font-weight:600;font-size:.85rem;color:#6B6463}
th,td{padding:.3rem .6rem .3rem 0;vertical-align:top;overflow-wrap:anywhere}
tbody tr{border-top:1px solid #EFEAE8;break-inside:avoid}
.facts td:first-child{width:32%;color:#6B6463}
.metrics{table-layout:fixed}
.metrics th:nth-child(2),.metrics th:nth-child(3){width:12%}
.metrics th:nth-child(4){width:27%}
.marks{table-layout:fixed}
.marks td,.marks th{overflow-wrap:break-word}
.marks th:nth-child(1){width:19%}
.marks th:nth-child(2){width:13%}
.marks th:nth-child(3){width:36%}
small{display:block;color:#6B6463;font-size:.82rem}
svg{display:block;width:100%;height:auto;margin:.3rem 0 .6rem}
svg .tick{font-size:11px;fill:#6B6463}
svg .grid{stroke:#EFEAE8}
svg .level{stroke:#77706F}
svg .mark{stroke:#77706F;stroke-dasharray:2 3}
pre{background:#F7F4F2;padding:.6rem .8rem;white-space:pre-wrap;overflow-wrap:anywhere;font-size:.82rem}
@media print{main{max-width:none;padding:0} @page{margin:16mm} section{break-inside:auto}}
</style>"""
