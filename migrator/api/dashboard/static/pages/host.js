// One host: its state and why, what it holds, the instances on it, and what can be done about it.
import { at } from "../api.js";
import { DrainHost, EvacuateHost, RestoreHost } from "../actions/hosts.js";
import { clock, gib, mib } from "../format.js";
import { html } from "../html.js";
import { Live } from "../live.js";
import { Facts, Loading, Trouble } from "../parts.js";
import { AlarmList } from "./alarms.js";
import { Claimed, note, States } from "./hosts.js";
import { InstanceTable } from "./instances.js";
import { MoveList } from "./moves.js";

export class HostPage extends Live {
  static title = "Host";
  static named = true; // its address is a name for people

  sources() {
    const name = this.props.id;
    return {
      host: `/v1/hosts/${encodeURIComponent(name)}`,
      servers: at("/v2.1/servers/detail", { host: name, all_tenants: 1, limit: 500 }),
      alarms: at("/v1/alarms", { host: name }),
      operations: at("/v1/operations", { active: true, progress: true, limit: 1000 }),
    };
  }

  concerns(event) {
    return event.host === null || event.host === this.props.id || event.operation !== null;
  }

  render() {
    const { data, errors } = this.state;
    const host = data.host?.host;
    if (!host) return html`<${Trouble} errors=${errors} />${Object.keys(errors).length ? null : html`<${Loading} />`}`;
    const moves = (data.operations?.operations ?? []).filter((row) => row.source === host.name || row.destination === host.name);
    return html`<${Trouble} errors=${errors} />
      <p class="lead"><${States} host=${host} /> ${note(host)}</p>
      <div class="buttons"><${DrainHost} host=${host} done=${this.refresh} /><${RestoreHost} host=${host} done=${this.refresh} /><${EvacuateHost} host=${host} done=${this.refresh} /></div>
      <div class="columns">
        <section class="card"><h2>Capacity</h2>
          <${Facts} rows=${[
            ["vCPUs", html`<${Claimed} host=${host} name="vcpus" unit=${(count) => count} what="vCPUs" />`],
            ["Memory", html`<${Claimed} host=${host} name="memory_mb" unit=${mib} what="of memory" />`],
            ["Disk", html`<${Claimed} host=${host} name="disk_gb" unit=${gib} what="of disk" />`],
            ["Machine", `${host.capacity.vcpus.total} CPUs, ${mib(host.capacity.memory_mb.total)}, ${gib(host.capacity.disk_gb.total)} of disk`],
          ]} /></section>
        <section class="card"><h2>State</h2>
          <${Facts} rows=${[
            ["Heard last", clock(host.last_seen)],
            ["Address", host.address],
            ["Hypervisor", host.hypervisor],
            ["CPU", host.cpu_model],
            ["Evacuation", host.evacuation.possible ? "possible now" : host.evacuation.refusal],
          ]} /></section>
      </div>
      ${data.alarms?.alarms.length ? html`<h2>Alarms</h2><${AlarmList} alarms=${data.alarms.alarms} />` : null}
      ${moves.length ? html`<h2>Under way</h2><${MoveList} rows=${moves} />` : null}
      <h2>Instances</h2>
      ${data.servers ? html`<${InstanceTable} servers=${data.servers.servers} empty="No instance is on this host." />` : null}`;
  }
}
