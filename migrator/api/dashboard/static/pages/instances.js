// Instances found by name, UUID, address or host. Without anything to look for: all of them, page by page.
import { at } from "../api.js";
import { html } from "../html.js";
import { Live } from "../live.js";
import { Badge, Host, Loading, Table, Trouble } from "../parts.js";
import { link } from "../router.js";
import { Hosts } from "./hosts.js";

const PAGE = 100;
const SPECIAL = /[\\^$.*+?()[\]{}|]/g; // the filters of the Compute API are regular expressions
const ADDRESS = /^[0-9a-f.:]*[.:][0-9a-f.:]*$/i;
export const UUID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;

export class Instances extends Live {
  static title = "Instances";

  sources() {
    const { q, after } = this.props.query;
    const all = { all_tenants: 1, limit: PAGE, marker: after };
    if (!q) return { servers: at("/v2.1/servers/detail", all) };
    const literal = q.replace(SPECIAL, "\\$&");
    const found = { servers: at("/v2.1/servers/detail", { ...all, name: literal }), on: at("/v2.1/servers/detail", { ...all, host: q }) };
    if (ADDRESS.test(q)) found.addressed = at("/v2.1/servers/detail", { ...all, [q.includes(":") ? "ip6" : "ip"]: literal });
    return found;
  }

  render() {
    const { data, errors } = this.state;
    const { q } = this.props.query;
    const loaded = Object.values(data);
    const servers = new Map(loaded.flatMap((answer) => answer.servers).map((server) => [server.id, server]));
    const next = data.servers?.servers_links && data.servers.servers.at(-1)?.id;
    return html`<${Trouble} errors=${errors} />
      ${q ? html`<p class="lead">Found for <q>${q}</q>, in names, hosts and addresses:</p>` : null}
      ${loaded.length ? html`<${InstanceTable} servers=${[...servers.values()]} empty=${q ? "No instance." : "There is no instance yet."} />` : Object.keys(errors).length ? null : html`<${Loading} />`}
      ${next ? html`<p><a href=${link("instances", null, { ...this.props.query, after: next })}>More</a></p>` : null}
      ${q ? html`<h2>Hosts</h2><${Hosts} query=${{ name: q }} />` : null}`;
  }
}

export function InstanceTable({ servers, empty }) {
  return html`<${Table} caption="Instances" rows=${servers} id=${(server) => server.id} empty=${empty} columns=${COLUMNS} />`;
}

const COLUMNS = [
  { label: "Name", kind: "wide", cell: (server) => html`<a href=${link("instances", server.id)}>${server.name || server.id}</a>` },
  { label: "Status", cell: (server) => html`<${Badge} value=${server.status} />` },
  { label: "Task", cell: (server) => server["OS-EXT-STS:task_state"] ?? html`<span class="quiet">–</span>` },
  { label: "Host", cell: (server) => html`<${Host} name=${server["OS-EXT-SRV-ATTR:host"]} />` },
  { label: "Flavor", cell: (server) => flavor(server) },
  { label: "Addresses", cell: (server) => addresses(server) || html`<span class="quiet">–</span>` },
  { label: "UUID", cell: (server) => html`<code>${server.id}</code>` },
];

export function flavor(server) {
  const { original_name: name, vcpus, ram } = server.flavor ?? {};
  return name ? `${name} (${vcpus} vCPU, ${ram} MiB)` : "–";
}

export function addresses(server) {
  return Object.values(server.addresses ?? {}).flat().map((entry) => entry.addr).join(", ");
}
