// The fleet: every host, those that need a person first.
import { at } from "../api.js";
import { gib, mib, plural, seconds } from "../format.js";
import { html } from "../html.js";
import { Live } from "../live.js";
import { Badge, Bar, Host, Loading, Table, Trouble } from "../parts.js";

const ORDER = ["unreadable", "silent", "forced-down", "awaited", "up"];

export class Hosts extends Live {
  static title = "Fleet";

  sources() {
    return { hosts: at("/v1/hosts", { name: this.props.query.name, marker: this.props.query.after }) };
  }

  render() {
    const { data, errors } = this.state;
    const found = data.hosts;
    return html`<${Trouble} errors=${errors} />
      ${found ? html`${this.props.query.name ? null : html`<${Summary} found=${found} />`}<${List} hosts=${found.hosts} searched=${this.props.query.name} />` : Object.keys(errors).length ? null : html`<${Loading} />`}
      ${found?.next ? html`<p><a href=${`#/hosts?${new URLSearchParams({ ...this.props.query, after: found.next })}`}>The next ${plural(1000, "host")}</a></p>` : null}`;
  }
}

function Summary({ found }) {
  const { hosts } = found;
  const sum = (name, what) => hosts.reduce((total, host) => total + host.capacity[name][what], 0);
  const troubled = hosts.filter((host) => host.state !== "up").length;
  const closed = hosts.filter((host) => host.state === "up" && !host.enabled).length;
  const instances = hosts.reduce((total, host) => total + host.instances, 0);
  return html`<ul class="tiles" aria-label="The fleet in numbers">
    <${Tile} value=${found.total} label=${found.total === 1 ? "host" : "hosts"} />
    <${Tile} value=${troubled} label="not up" tone=${troubled ? "bad" : ""} />
    <${Tile} value=${closed} label="take no instances" tone=${closed ? "warn" : ""} />
    <${Tile} value=${instances} label=${instances === 1 ? "instance" : "instances"} />
    <${Tile} value=${`${sum("vcpus", "claimed")} of ${sum("vcpus", "allowed")}`} label="vCPUs claimed" />
    <${Tile} value=${`${mib(sum("memory_mb", "claimed"))} of ${mib(sum("memory_mb", "allowed"))}`} label="memory claimed" />
  </ul>`;
}

function Tile({ value, label, tone = "" }) {
  return html`<li class="tile ${tone}"><span class="value">${value}</span> <span class="label">${label}</span></li>`;
}

function List({ hosts, searched }) {
  const empty = searched ? "No host." : "No host is registered. The guide says how one joins: docs/installation.md.";
  const sorted = [...hosts].sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || Number(a.enabled) - Number(b.enabled) || a.name.localeCompare(b.name, undefined, { numeric: true }));
  return html`<${Table} caption="Hosts" rows=${sorted} id=${(host) => host.name} empty=${empty} columns=${COLUMNS} />`;
}

const COLUMNS = [
  { label: "Host", cell: (host) => html`<${Host} name=${host.name} />` },
  { label: "State", cell: (host) => html`<${States} host=${host} />` },
  { label: "Instances", kind: "number", cell: (host) => host.instances },
  { label: "vCPUs", cell: (host) => html`<${Claimed} host=${host} name="vcpus" unit=${(count) => count} what="vCPUs" />` },
  { label: "Memory", cell: (host) => html`<${Claimed} host=${host} name="memory_mb" unit=${mib} what="of memory" />` },
  { label: "Disk", cell: (host) => html`<${Claimed} host=${host} name="disk_gb" unit=${gib} what="of disk" />` },
  { label: "What to know", kind: "wide", cell: (host) => note(host) || html`<span class="quiet">–</span>` },
];

export function States({ host }) {
  return html`<${Badge} value=${host.state} />${host.enabled ? null : html` <${Badge} value="disabled" />`}`;
}

export function Claimed({ host, name, unit, what }) {
  const { claimed, allowed } = host.capacity[name];
  const told = `${unit(claimed)} of ${unit(allowed)}`;
  return html`<span class="claimed"><${Bar} part=${claimed} whole=${allowed} told=${`${told} ${what} claimed`} /><span aria-hidden="true">${told}</span></span>`;
}

// Why it is not up or takes nothing, and what that means for its instances.
export function note(host) {
  const said = [];
  if (host.state === "awaited") said.push("The servers came back a moment ago; it has not been heard yet.");
  if (host.state === "silent" || host.state === "forced-down") said.push(`Not heard for ${seconds(host.silent_s)}.`);
  if (host.evidence) said.push(`Its guests count as stopped: ${host.evidence.message}.`);
  else if (host.state === "silent") said.push("Nothing says that its guests do not run.");
  if (host.fence_attempt?.ok === false) said.push(`Fencing failed: ${host.fence_attempt.message}.`);
  if (host.fence_attempt && host.fence_attempt.ok === null) said.push("The fence command runs.");
  if (!host.enabled) said.push(`Takes no instances: ${host.disabled_reason}.`);
  return said.join(" ");
}
