// Drains, restores and evacuations of hosts: the list, and one of them with its plan.
import { at } from "../api.js";
import { SteerDrain } from "../actions/hosts.js";
import { clock, seconds } from "../format.js";
import { html } from "../html.js";
import { Live } from "../live.js";
import { Badge, Bar, Facts, Host, Loading, Table, Trouble } from "../parts.js";
import { link } from "../router.js";

const OVER = new Set(["completed", "incomplete", "cancelled"]);

export class Drains extends Live {
  static title = "Drains and evacuations";

  sources() {
    return { drains: at("/v1/drains", { limit: 100 }) };
  }

  render() {
    const { data, errors } = this.state;
    if (!data.drains) return html`<${Trouble} errors=${errors} />${Object.keys(errors).length ? null : html`<${Loading} />`}`;
    return html`<${Trouble} errors=${errors} />
      <${Table} caption="Drains and evacuations" rows=${data.drains.drains} id=${(row) => row.id} columns=${LISTED} empty="There was none yet. A host's page begins one, with its plan shown first." />`;
  }
}

const LISTED = [
  { label: "Number", cell: (row) => html`<a href=${link("drains", row.id)}>${row.kind} ${row.id}</a>` },
  { label: "Host", cell: (row) => html`<${Host} name=${row.host} />` },
  { label: "State", cell: (row) => html`<${Badge} value=${row.state} />` },
  { label: "Instances", kind: "wide", cell: (row) => counted(row.moves) },
  { label: "Began", cell: (row) => clock(row.created_at) },
  { label: "Note", kind: "wide", cell: (row) => row.note || row.reason || html`<span class="quiet">–</span>` },
];

function counted(moves) {
  const found = Object.entries(moves).filter(([, count]) => count > 0);
  return found.map(([state, count]) => `${count} ${state}`).join(", ") || "none";
}

export class DrainPage extends Live {
  static title = "Drain or evacuation";
  static named = true; // its address is a name for people

  sources() {
    return { drain: `/v1/drains/${encodeURIComponent(this.props.id)}` };
  }

  period() {
    return OVER.has(this.state.data.drain?.drain.state) ? 60000 : 2000;
  }

  render() {
    const { data, errors } = this.state;
    const drain = data.drain?.drain;
    if (!drain) return html`<${Trouble} errors=${errors} />${Object.keys(errors).length ? null : html`<${Loading} />`}`;
    const done = drain.moves.filter((move) => ["done", "left", "gone"].includes(move.state)).length;
    return html`<${Trouble} errors=${errors} />
      <p class="lead">${drain.kind} of <${Host} name=${drain.host} /> <${Badge} value=${drain.state} /> ${drain.note}</p>
      ${OVER.has(drain.state) ? null : html`<div class="buttons"><${SteerDrain} drain=${drain} done=${this.refresh} /></div>`}
      <section class="card">
        <${Bar} part=${done} whole=${drain.moves.length} tone="moving" told=${`${done} of ${drain.moves.length} settled`} />
        <${Facts} rows=${[
          ["Settled", `${done} of ${drain.moves.length}`],
          ["Predicted", `${seconds(drain.predicted_s)}, at most ${seconds(drain.longest_s)}`],
          ["Began", clock(drain.created_at)],
          ["Ended", drain.finished_at ? clock(drain.finished_at) : null],
          ["Reason", drain.reason],
        ]} /></section>
      <h2>Plan</h2><${Plan} moves=${drain.moves} />
      <h2>What happened</h2>
      <${Table} caption="Events" rows=${drain.events} id=${(event) => event.id} columns=${EVENTS} />`;
  }
}

const EVENTS = [
  { label: "When", cell: (event) => clock(event.at) },
  { label: "Event", cell: (event) => event.name },
  { label: "Message", kind: "wide", cell: (event) => event.message },
];

// Of a dry run, too.
export function Plan({ moves }) {
  return html`<${Table} caption="Plan" rows=${moves} id=${(move) => move.server} columns=${PLANNED} empty="No instance is on this host." />`;
}

const PLANNED = [
  { label: "Instance", kind: "wide", cell: (move) => html`<a href=${link("instances", move.server)}>${move.name}</a>` },
  { label: "State", cell: (move) => html`<${Badge} value=${move.state} />` },
  { label: "How", cell: (move) => move.way ?? html`<span class="quiet">–</span>` },
  { label: "To", cell: (move) => html`<${Host} name=${move.destination} />` },
  { label: "Downtime", kind: "number", cell: (move) => (move.downtime_s === null ? html`<span class="quiet">–</span>` : seconds(move.downtime_s)) },
  { label: "Why", kind: "wide", cell: (move) => [move.error, move.why, move.remedy && `To do: ${move.remedy}`].filter(Boolean).join(" ") },
];
