// Draws a Plotly figure and, on every refresh, updates it in place: zoom, hidden lines and scroll position stay.

const loadPlotly = (url) => {
  window.decantPlotly ??= new Promise((resolve, reject) => {
    const script = document.createElement("script")
    script.src = url
    script.onload = () => resolve(window.Plotly)
    script.onerror = () => {
      window.decantPlotly = undefined
      reject(new Error(`could not load ${url}`))
    }
    document.head.append(script)
  })
  return window.decantPlotly
}

// Streamlit hands its theme to components as CSS variables.
const readTheme = (element) => {
  const style = getComputedStyle(element)
  const probe = document.createElement("canvas").getContext("2d")
  probe.fillStyle = style.getPropertyValue("--st-background-color").trim() || "#ffffff"
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(probe.fillStyle.slice(at, at + 2), 16))
  return {
    dark: 0.299 * red + 0.587 * green + 0.114 * blue < 128,
    ink: style.getPropertyValue("--st-text-color").trim() || "#222222",
    font: style.getPropertyValue("--st-font").trim() || "sans-serif",
    paper: probe.fillStyle,
  }
}

const dress = (figure, theme) => {
  const { data, layout } = structuredClone(figure)
  const grid = theme.dark ? "rgba(255,255,255,.11)" : "rgba(0,0,0,.08)"
  for (const trace of data) {
    if (theme.dark && trace.meta?.dark) {
      if (trace.line) trace.line.color = trace.meta.dark
      if (trace.marker) trace.marker.color = trace.meta.dark
    }
  }
  layout.font = { ...layout.font, family: theme.font, color: theme.ink }
  layout.hoverlabel = { bgcolor: theme.paper, bordercolor: grid, font: { family: theme.font, color: theme.ink } }
  layout.modebar = { bgcolor: "rgba(0,0,0,0)", color: grid, activecolor: theme.ink }
  for (const name of ["xaxis", "yaxis"]) layout[name] = { ...layout[name], gridcolor: grid, linecolor: grid }
  return { data, layout }
}

const AXES = ["xaxis", "yaxis"]

// A range that the person chose stays until a double click: by itself, Plotly lets each refresh's range win.
const keepZoom = (Plotly, place) => {
  place.on("plotly_relayout", (event) => {
    for (const axis of AXES) {
      if (`${axis}.range[0]` in event) place.decantZoom[axis] = [event[`${axis}.range[0]`], event[`${axis}.range[1]`]]
    }
  })
  place.on("plotly_doubleclick", () => {
    place.decantZoom = {}
    Plotly.relayout(place, Object.fromEntries(AXES.map((axis) => [`${axis}.range`, [...place.decantHome[axis]]])))
  })
}

export default function ({ data, parentElement }) {
  const place = parentElement.querySelector(".decant-chart")
  place.style.height = `${data.figure.layout.height}px`
  place.setAttribute("role", "img")
  place.setAttribute("aria-label", data.alt)
  loadPlotly(new URL(data.library, document.baseURI).href)
    .then((Plotly) => {
      const { data: traces, layout } = dress(data.figure, readTheme(place))
      place.querySelector(".decant-chart-message")?.remove()
      if (place.decantView !== layout.uirevision) place.decantZoom = {}
      place.decantView = layout.uirevision
      place.decantHome = Object.fromEntries(AXES.map((axis) => [axis, layout[axis].range]))
      for (const axis of AXES) layout[axis].range = place.decantZoom[axis] ?? layout[axis].range
      return Plotly.react(place, traces, layout, {
        responsive: true,
        displaylogo: false,
        doubleClick: false, // ours goes home to the newest window, not to the one of the first drawing
        modeBarButtons: [["toImage"]], // dragging zooms; nothing here may offer to send data elsewhere
      }).then(() => {
        if (!place.decantHandlers) keepZoom(Plotly, place)
        place.decantHandlers = true
      })
    })
    .catch((error) => {
      place.innerHTML = '<p class="decant-chart-message">The chart could not be drawn. Reload the page to try again.</p>'
      console.error("Decant chart:", error)
    })
  if (!place.decantObserver) {
    place.decantObserver = new ResizeObserver(() => {
      // A chart whose page is being left has no size any more, and Plotly throws when asked to fit it.
      if (window.Plotly && place.layout && place.clientWidth > 0) window.Plotly.Plots.resize(place)
    })
    place.decantObserver.observe(place)
  }
}
