// One operation: how far it is, its curve while it transfers, and everything that happened in it.
import { AbortLive } from "../actions/instances.js";
import { bytes, clock, seconds } from "../format.js";
import { html } from "../html.js";
import { Live } from "../live.js";
import { Badge, Facts, Loading, Table, Trouble, Way } from "../parts.js";
import { link } from "../router.js";
import { Curve } from "../curve.js";
import { remaining } from "../transfer.js";
import { Transfer } from "./moves.js";

export class OperationPage extends Live {
  static title = "Operation";
  static named = true; // its address is a name for people

  sources() {
    const id = encodeURIComponent(this.props.id);
    return { timeline: `/v1/operations/${id}/timeline`, series: `/v1/operations/${id}/progress` };
  }

  period() {
    return this.state.data.timeline?.operation.active ? 1000 : 60000;
  }

  concerns(event) {
    return event.operation !== null && [String(event.operation.id), event.operation.uuid].includes(this.props.id);
  }

  render() {
    const { data, errors } = this.state;
    if (!data.timeline) return html`<${Trouble} errors=${errors} />${Object.keys(errors).length ? null : html`<${Loading} />`}`;
    const { operation, events } = data.timeline;
    const points = data.series?.progress ?? [];
    return html`<${Trouble} errors=${errors} />
      <p class="lead">${operation.kind} of <a href=${link("instances", operation.instance)}>${operation.instance_name ?? operation.instance}</a> <${Badge} value=${operation.status} /></p>
      ${operation.active && operation.kind === "live-migration" ? html`<div class="buttons"><${AbortLive} operation=${operation} done=${this.refresh} /></div>` : null}
      ${operation.waiting ? html`<p class="notice warn">Waits: ${operation.waiting}</p>` : null}
      ${operation.error ? html`<p class="notice bad">${operation.error.message}</p>` : null}
      <section class="card"><${Facts} rows=${facts(operation)} />
        ${operation.progress && operation.active ? html`<${Transfer} row=${{ progress: operation.progress, percent: percent(operation.progress) }} />` : null}</section>
      ${points.length > 1 ? html`<section class="card"><h2>The transfer over time</h2><${Curve} points=${points} /></section>` : null}
      <h2>What happened</h2>
      <${Table} caption="Timeline" rows=${events.map((event, number) => ({ ...event, number }))} id=${(event) => event.number} columns=${COLUMNS} />`;
  }
}

function percent(job) {
  const total = (job.memory_total_bytes || 0) + (job.disk_total_bytes || 0);
  return total ? Math.max(0, Math.min(100, Math.floor((100 * (total - remaining(job))) / total))) : 0;
}

function facts(operation) {
  const { outcome } = operation;
  return [
    ["Hosts", html`<${Way} row=${operation} />`],
    ["Phase", `${operation.phase}${operation.active && !operation.forward ? ", going back" : ""}`],
    ["Asked for", `${clock(operation.created_at)} by ${operation.user_id}`],
    ["Ended", operation.finished_at ? clock(operation.finished_at) : null],
    ["Downtime", outcome?.downtime_ms ? seconds(outcome.downtime_ms / 1000) : null],
    ["Sent", outcome?.memory_processed_bytes ? bytes(outcome.memory_processed_bytes + (outcome.disk_processed_bytes || 0)) : null],
    ["Evidence", operation.evidence],
    ["Still owed", operation.owed.map((one) => `${one.phase}${one.host ? ` on ${one.host}` : ""}`).join(", ")],
  ];
}

const COLUMNS = [
  { label: "After", kind: "number", cell: (event) => seconds(event.offset_ms / 1000) },
  { label: "Event", cell: (event) => event.name },
  { label: "Phase", cell: (event) => event.phase },
  { label: "Host", cell: (event) => event.host ?? html`<span class="quiet">–</span>` },
  { label: "Message", kind: "wide", cell: (event) => event.message ?? html`<span class="quiet">–</span>` },
];
