"use strict";
(() => {
  // only these buttons: plotly's own list has one that sends the figure to a server
  const buttons = ["toImage", "zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"];
  const config = { displaylogo: false, responsive: true, plotlyServerURL: "", modeBarButtons: [buttons] };
  const plots = [];
  for (const plot of document.querySelectorAll(".plot")) {
    const figure = JSON.parse(plot.nextElementSibling.textContent);
    Plotly.newPlot(plot, figure.data, figure.layout, config);
    plots.push(plot);
  }
  const folded = () => document.querySelectorAll("details:not([open])");
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = [...folded()];
    opened.forEach((details) => { details.open = true; });
    plots.forEach((plot) => Plotly.relayout(plot, { width: 660 }));
  });
  window.addEventListener("afterprint", () => {
    opened.forEach((details) => { details.open = false; });
    plots.forEach((plot) => Plotly.relayout(plot, { width: null, autosize: true }));
  });
})();
