// What moves now, and what ended lately: phase, bytes, rate, time left.
import { at } from "../api.js";
import { between, bytes, clock, seconds } from "../format.js";
import { html } from "../html.js";
import { Live } from "../live.js";
import { Badge, Bar, Loading, Table, Trouble, Way } from "../parts.js";
import { link } from "../router.js";
import { eta, processed, rate, remaining } from "../transfer.js";

const FAST_MS = 1000;
const SLOW_MS = 10000;

export class Moves extends Live {
  static title = "Moves";

  sources() {
    return { running: at("/v1/operations", { active: true, progress: true, limit: 200 }), ended: at("/v1/operations", { active: false, progress: true, limit: 25 }) };
  }

  period() {
    return this.state.data.running?.operations.length ? FAST_MS : SLOW_MS;
  }

  render() {
    const { data, errors } = this.state;
    if (!data.running) return html`<${Trouble} errors=${errors} />${Object.keys(errors).length ? null : html`<${Loading} />`}`;
    return html`<${Trouble} errors=${errors} />
      <${MoveList} rows=${data.running.operations} />
      <h2>Ended lately</h2>
      <${OperationTable} rows=${data.ended?.operations ?? []} caption="Operations that ended" />`;
  }
}

export function MoveList({ rows }) {
  if (rows.length === 0) return html`<p class="empty">Nothing is under way.</p>`;
  return html`<ul class="moves">${rows.map((row) => html`<li key=${row.id} class="card"><${Move} row=${row} /></li>`)}</ul>`;
}

function Move({ row }) {
  return html`<p class="head"><a href=${link("operations", row.id)}>${row.kind} ${row.id}</a> of <a class="name" href=${link("instances", row.instance)}>${row.instance_name ?? row.instance}</a> <${Badge} value=${row.status} /></p>
    <p><${Way} row=${row} /> <span class="quiet">phase</span> ${row.phase}${row.forward ? "" : ", going back"} <span class="quiet">for ${seconds(between(row.phase_since, null))}</span></p>
    ${row.waiting ? html`<p class="notice warn">Waits: ${row.waiting}</p>` : null}
    ${row.progress ? html`<${Transfer} row=${row} />` : null}`;
}

export function Transfer({ row }) {
  const job = row.progress;
  const left = eta(job);
  return html`<${Bar} part=${row.percent} whole=${100} tone="moving" told=${`${row.percent} % transferred`} />
    <p class="counters"><span>${row.percent} %</span><span>${bytes(processed(job))} sent</span><span>${bytes(remaining(job))} left</span>
      <span>${bytes(rate(job))}/s</span><span>${left.why ? `time left: ${left.why}` : left.s ? `about ${seconds(left.s)} left` : "switching over"}</span>
      ${job.throttle_percent ? html`<span>guest slowed by ${job.throttle_percent} %</span>` : null}</p>`;
}

export function OperationTable({ rows, caption, instance = true }) {
  const columns = [
    { label: "Operation", cell: (row) => html`<a href=${link("operations", row.id)}>${row.kind} ${row.id}</a>` },
    instance && { label: "Instance", kind: "wide", cell: (row) => html`<a href=${link("instances", row.instance)}>${row.instance_name ?? row.instance}</a>` },
    { label: "Status", cell: (row) => html`<${Badge} value=${row.status} />` },
    { label: "Hosts", cell: (row) => html`<${Way} row=${row} />` },
    { label: "Began", cell: (row) => clock(row.created_at) },
    { label: "Took", kind: "number", cell: (row) => seconds(between(row.created_at, row.finished_at)) },
    { label: "Downtime", kind: "number", cell: (row) => (row.outcome?.downtime_ms ? seconds(row.outcome.downtime_ms / 1000) : html`<span class="quiet">–</span>`) },
    { label: "What went wrong", kind: "wide", cell: (row) => row.error?.message ?? html`<span class="quiet">–</span>` },
  ];
  return html`<${Table} caption=${caption} rows=${rows} id=${(row) => row.id} columns=${columns.filter(Boolean)} />`;
}
