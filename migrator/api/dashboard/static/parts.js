// What several pages are made of: badges, bars, tables, errors. Owns no data.
import { html } from "./html.js";
import { link } from "./router.js";

const TONES = {
  good: new Set(["up", "completed", "done", "finished", "certain", "passed", "active", "success", "ACTIVE"]),
  bad: new Set(["error", "failed", "lost", "ERROR", "attention", "stuck", "unreadable"]),
  warn: new Set(["silent", "forced-down", "awaited", "disabled", "unknown", "paused", "VERIFY_RESIZE", "UNKNOWN", "cancelled"]),
  busy: new Set(["running", "preparing", "migrating", "queued", "accepted", "draining", "moving", "planned", "MIGRATING", "RESIZE"]),
};

export function Badge({ value, tone }) {
  const found = tone ?? Object.keys(TONES).find((name) => TONES[name].has(value)) ?? "plain";
  return html`<span class="badge ${found}">${value}</span>`;
}

// `told`: what a screen reader says in its place.
export function Bar({ part, whole, told, tone = "" }) {
  const width = whole > 0 ? Math.min(100, (100 * part) / whole) : 0;
  return html`<span class="bar ${tone || (width >= 90 ? "full" : "")}" role="img" aria-label=${told}><span style=${{ width: `${width}%` }}></span></span>`;
}

export function Host({ name }) {
  return name ? html`<a href=${link("hosts", name)}>${name}</a>` : "–";
}

export function Way({ row }) {
  if (!row.source && !row.destination) return "–";
  if (!row.destination || !row.source) return html`<${Host} name=${row.source ?? row.destination} />`;
  return html`<${Host} name=${row.source} /> <span aria-label="to">→</span> <${Host} name=${row.destination} />`;
}

// columns: {label, cell(row), kind: "number" | "wide"}. A narrow screen shows each row as a card, so that roles are said
// in words: another display takes a table's own away.
export function Table({ caption, columns, rows, id, empty = "None." }) {
  if (rows.length === 0) return html`<p class="empty">${empty}</p>`;
  return html`<table role="table">
    <caption class="unseen">${caption}</caption>
    <thead role="rowgroup">
      <tr role="row">${columns.map((column) => html`<th role="columnheader" scope="col" class=${column.kind}>${column.label}</th>`)}</tr>
    </thead>
    <tbody role="rowgroup">
      ${rows.map(
        (row) => html`<tr role="row" key=${id(row)}>
          ${columns.map((column) => html`<td role="cell" class=${column.kind} data-label=${column.label}><div>${column.cell(row)}</div></td>`)}
        </tr>`,
      )}
    </tbody>
  </table>`;
}

export function Trouble({ errors }) {
  const found = Object.values(errors).filter((error) => error.status !== 401);
  return found.length === 0 ? null : html`<div role="alert" class="notice bad">${found.map((error) => html`<${Said} error=${error} />`)}</div>`;
}

export function Said({ error }) {
  const denied = error.status === 403 ? "Your role does not allow this. " : "";
  return html`<p><strong>${denied}</strong>${error.message} ${error.advice ? html`<span class="advice">To do: ${error.advice}</span>` : null}</p>`;
}

export function Facts({ rows }) {
  return html`<dl class="facts">
    ${rows.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}
  </dl>`;
}

export function Loading() {
  return html`<p class="empty" role="status">Loading…</p>`;
}
