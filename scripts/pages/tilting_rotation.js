const data = JSON.parse(document.getElementById("data").textContent);
const slider = document.getElementById("turn");
const reach = Math.max(...data.points.flat().map(Math.abs));
const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
const unit = (a) => a.map((value) => value / Math.sqrt(dot(a, a)));
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];

// Directions on the arc between both weights.
function weightAt(share) {
  const [from, to] = data.weight;
  const angle = Math.acos(Math.min(1, dot(from, to)));
  const [a, b] = [Math.sin((1 - share) * angle), Math.sin(share * angle)];
  return unit(from.map((value, i) => a * value + b * to[i]));
}

function square(normal, offset) {
  const first = unit(cross(normal, Math.abs(normal[2]) < 0.9 ? [0, 0, 1] : [1, 0, 0]));
  const second = cross(normal, first);
  const corners = [[-1, -1], [1, -1], [1, 1], [-1, 1]].map(([s, t]) =>
    normal.map((value, i) => -offset * value + reach * (s * first[i] + t * second[i])));
  return {
    type: "mesh3d", x: corners.map((c) => c[0]), y: corners.map((c) => c[1]), z: corners.map((c) => c[2]),
    i: [0, 0], j: [1, 2], k: [2, 3], opacity: 0.5, color: data.colours.other, name: "boundary", showlegend: true,
  };
}

const clouds = [-1, 1].map((side, i) => {
  const points = data.points.filter((_, row) => data.label[row] === side);
  return {
    type: "scatter3d", mode: "markers", name: data.names[i],
    x: points.map((p) => p[0]), y: points.map((p) => p[1]), z: points.map((p) => p[2]),
    marker: { size: 3, color: [data.colours.first, data.colours.second][i] },
  };
});

function show(share) {
  const weight = weightAt(share);
  const offset = (1 - share) * data.offset[0] + share * data.offset[1];
  const range = [-reach, reach];
  Plotly.react("space", [...clouds, square(weight, offset)], {
    scene: {
      xaxis: { title: { text: "z" }, range }, yaxis: { title: { text: "n" }, range },
      zaxis: { title: { text: "n\u2032" }, range }, aspectmode: "cube",
    },
    margin: { l: 0, r: 0, t: 0, b: 0 }, uirevision: "kept",
  }, { displayModeBar: false, responsive: true });
  const tilt = (Math.acos(Math.min(1, weight[0])) * 180) / Math.PI;
  document.getElementById("state").textContent = `tilt of the boundary ${tilt.toFixed(1)}°`;
}

slider.addEventListener("input", () => show(Number(slider.value) / 40));
show(0);
