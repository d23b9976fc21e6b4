// SPDX-License-Identifier: Apache-2.0
// Loaded with the dashboard.
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

export interface Series {
  label: string;
  color: string; // a custom property of the style sheet
  values: (number | null)[];
}

const shownSeconds = 300;
const wholeSteps = [0, 1, 2, 3, 4, 5, 6].flatMap((power) => [1, 2, 5].map((one) => one * 10 ** power));

/** Times of the axis, with seconds where minutes would repeat themselves. */
function clockTimes(_plot: uPlot, at: number[]): string[] {
  const second = at.length > 1 && at[1]! - at[0]! < 60 ? "2-digit" : undefined;
  return at.map((time) => new Date(time * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second }));
}

/** A small line chart of the last minutes; redraws itself when its box or the theme changes. */
export class Chart {
  private plot: uPlot | null = null;
  private watch: ResizeObserver;
  private times: number[] = [];
  private series: Series[] = [];

  constructor(
    private readonly box: HTMLElement,
    private readonly format: (value: number) => string,
    private readonly least: number, // the top of the scale, at least
    private readonly whole: boolean, // values are counts: no marks between them
  ) {
    this.watch = new ResizeObserver(() => this.plot?.setSize({ width: box.clientWidth, height: box.clientHeight }));
    this.watch.observe(box);
  }

  set(times: number[], series: Series[]): void {
    this.times = times;
    this.series = series;
    if (this.plot) this.plot.setData(this.data());
    else this.draw();
  }

  /** Anew, with the colours of the theme as it is now. */
  draw(): void {
    this.plot?.destroy();
    const style = getComputedStyle(this.box);
    const color = (name: string) => style.getPropertyValue(name).trim();
    const axis = { stroke: color("--faint"), grid: { stroke: color("--line"), width: 1 }, ticks: { show: false }, font: `11px ${style.fontFamily}` };
    this.plot = new uPlot(
      {
        width: this.box.clientWidth,
        height: this.box.clientHeight,
        padding: [null, 42, null, null], // half of the last time, which stands around the right edge
        cursor: { y: false, points: { size: 6 } },
        legend: { show: false },
        scales: {
          x: { time: true, range: (_plot, min, max) => [Math.max(max - shownSeconds, Math.min(min, max - 60)), max] },
          y: { range: (_plot, _min, max) => [0, Math.max(this.least, (max ?? 0) * 1.15)] },
        },
        axes: [
          { ...axis, grid: { show: false }, size: 30, space: 90, values: clockTimes },
          { ...axis, size: 58, space: 34, ...(this.whole && { incrs: wholeSteps }), values: (_plot, at) => at.map(this.format) },
        ],
        series: [
          {},
          ...this.series.map((one) => ({ label: one.label, stroke: color(one.color), fill: `color-mix(in srgb, ${color(one.color)} 12%, transparent)`, width: 1.75, points: { show: false } })),
        ],
      },
      this.data(),
      this.box,
    );
  }

  destroy(): void {
    this.watch.disconnect();
    this.plot?.destroy();
  }

  private data(): uPlot.AlignedData {
    return [this.times, ...this.series.map((one) => one.values)];
  }
}
