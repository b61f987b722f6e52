// The curve of a transfer: what is left, and how fast it goes. Draws by uPlot, which is fetched when there is something
// to draw.
import { bytes } from "./format.js";
import { Component, createRef, html } from "./html.js";
import { remaining } from "./transfer.js";

const HEIGHT = 240;
const MIB = 1024 * 1024;

export class Curve extends Component {
  place = createRef();

  async componentDidMount() {
    const { default: Plot } = await import("./vendor/uplot.js");
    if (!this.place.current) return;
    this.Plot = Plot;
    this.dark = matchMedia("(prefers-color-scheme: dark)");
    this.dark.addEventListener("change", this.draw);
    this.watch = new ResizeObserver(() => this.plot?.setSize({ width: this.width(), height: HEIGHT }));
    this.watch.observe(this.place.current);
    this.draw();
  }

  componentDidUpdate() {
    this.plot?.setData(series(this.props.points));
  }

  componentWillUnmount() {
    this.watch?.disconnect();
    this.dark?.removeEventListener("change", this.draw);
    this.plot?.destroy();
  }

  width() {
    return Math.max(200, this.place.current.clientWidth);
  }

  draw = () => {
    this.plot?.destroy();
    const look = getComputedStyle(document.documentElement);
    const color = (name) => look.getPropertyValue(name).trim();
    const axis = { stroke: color("--quiet"), grid: { stroke: color("--line"), width: 1 }, ticks: { stroke: color("--line") } };
    const options = {
      width: this.width(),
      height: HEIGHT,
      scales: { x: { time: false } },
      legend: { live: false },
      cursor: { show: false },
      axes: [
        { ...axis, label: "seconds", labelSize: 20 },
        { ...axis, scale: "left", label: "MiB left", size: 60 },
        { ...axis, scale: "rate", side: 1, label: "MiB/s", size: 60, grid: { show: false } },
      ],
      series: [
        {},
        { label: "MiB left", scale: "left", stroke: color("--accent"), width: 2, fill: color("--accent-soft") },
        { label: "MiB/s", scale: "rate", stroke: color("--second"), width: 2, dash: [6, 4] },
      ],
    };
    this.plot = new this.Plot(options, series(this.props.points), this.place.current);
  };

  render({ points }) {
    const last = points.at(-1);
    const told = `From ${bytes(remaining(points[0]))} left at the beginning to ${bytes(remaining(last))}, ${points.length} measurements`;
    return html`<div ref=${this.place} class="curve" role="img" aria-label=${told}></div>`;
  }
}

function series(points) {
  return [
    points.map((point) => point.offset_ms / 1000),
    points.map((point) => remaining(point) / MIB),
    points.map((point) => (point.bytes_per_s === null || point.bytes_per_s === undefined ? null : point.bytes_per_s / MIB)),
  ];
}
