const data = JSON.parse(document.getElementById("data").textContent);
const slider = document.getElementById("alpha");
const still = { displayModeBar: false, responsive: true };
const reach = 1.05 * Math.max(...data.points.flat(2).map(Math.abs));

function pixels(canvas, levels) {
  const image = new ImageData(data.side, levels.length / data.side);
  levels.forEach((level, i) => image.data.set([level, level, level, 255], 4 * i));
  canvas.width = image.width;
  canvas.height = image.height;
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function framed(id, text) {
  const figure = document.createElement("figure");
  figure.innerHTML = `<canvas id="${id}"></canvas><figcaption>${text}</figcaption>`;
  document.getElementById("digits").append(figure);
  return figure.firstChild;
}

const mirrors = data.digits.map((levels, i) => {
  pixels(framed(`digit-${i}`, `a ${data.names[i]}`), levels);
  return framed(`mirror-${i}`, `mirror image`);
});

function show(place) {
  const angle = (data.theta[place] * Math.PI) / 180;
  const [cos, sin, offset] = [Math.cos(angle), Math.sin(angle), data.offset[place]];
  const ends = [-3 * reach, 3 * reach];
  const traces = [-1, 1].map((side, i) => {
    const points = data.points[place].filter((_, row) => data.label[row] === side);
    return {
      x: points.map((p) => p[0]), y: points.map((p) => p[1]), mode: "markers", type: "scatter", name: data.names[i],
      marker: { color: [data.colours.first, data.colours.second][i], size: 5, opacity: 0.7 },
    };
  });
  traces.push({
    x: ends.map((t) => -offset * cos - t * sin), y: ends.map((t) => -offset * sin + t * cos), mode: "lines",
    type: "scatter", name: "boundary", line: { color: "black" },
  });
  Plotly.react("plane", traces, {
    xaxis: { title: { text: "along z" }, range: [-reach, reach], zeroline: true },
    yaxis: { title: { text: "along n" }, range: [-reach, reach], scaleanchor: "x", zeroline: false },
    margin: { t: 10, r: 10 },
  }, still);
  mirrors.forEach((canvas, i) => pixels(canvas, data.mirror[place][i]));
  Plotly.react("errors", [
    { x: data.alpha, y: data.test, name: "test error (%)", line: { color: data.colours.second } },
    { x: data.alpha, y: data.train, name: "train error (%)", line: { color: data.colours.other } },
    { x: data.alpha, y: data.distance, name: "d_adv", yaxis: "y2", line: { color: data.colours.first } },
  ], {
    xaxis: { title: { text: "log10 of lambda" } }, yaxis: { title: { text: "error (%)" }, rangemode: "tozero" },
    yaxis2: { overlaying: "y", side: "right", tickmode: "auto", showgrid: false, title: { text: "d_adv" }, rangemode: "tozero" },
    shapes: [{ type: "line", x0: data.alpha[place], x1: data.alpha[place], yref: "paper", y0: 0, y1: 1, line: { width: 1 } }],
    margin: { t: 10 }, legend: { orientation: "h", y: -0.3 },
  }, still);
  document.getElementById("state").textContent =
    `log10 of lambda ${data.alpha[place].toFixed(1)}, theta ${data.theta[place].toFixed(1)}°, ` +
    `d_adv ${data.distance[place].toFixed(3)}, train error ${data.train[place].toFixed(2)} %, ` +
    `test error ${data.test[place].toFixed(2)} %`;
}

slider.addEventListener("input", () => show(Number(slider.value)));
show(0);
