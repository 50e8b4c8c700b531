document.querySelectorAll('.figure > script[type="application/json"]').forEach(function (block) {
  var figure = JSON.parse(block.textContent), div = block.previousElementSibling;
  Plotly.newPlot(div, figure.data || [], figure.layout || {}, {responsive: true, displaylogo: false, showSendToCloud: false}).then(function () {
    if (figure.frames) Plotly.addFrames(div, figure.frames);
  });
});
document.querySelectorAll("details").forEach(function (box) {
  // A figure drawn inside a closed box does not know its width yet.
  box.addEventListener("toggle", function () {
    if (box.open) box.querySelectorAll(".js-plotly-plot").forEach(function (div) { Plotly.Plots.resize(div); });
  });
});
var toggle = document.querySelector("button.toggle-code");
if (toggle) toggle.addEventListener("click", function () {
  var open = toggle.dataset.open !== "yes";
  toggle.dataset.open = open ? "yes" : "no";
  toggle.textContent = open ? "Hide all code" : "Show all code";
  document.querySelectorAll("details.code").forEach(function (box) { box.open = open; });
});
