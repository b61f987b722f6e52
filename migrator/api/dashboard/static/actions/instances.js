// What can be asked for one instance: live migration, cold migration, confirm, revert, abort.
import { at, call, get } from "../api.js";
import { html } from "../html.js";
import { Badge, Way } from "../parts.js";
import { Action } from "./dialog.js";

function act(server, body) {
  return call("POST", `/v2.1/servers/${server.id}/action`, body);
}

export function LiveMigrate({ server, busy, done }) {
  return html`<${Action} label="Live-migrate…" title=${`Live-migrate ${server.name}`} confirm="Live-migrate" done=${done}
    disabled=${busy || !["ACTIVE", "PAUSED"].includes(server.status)}
    load=${async () => (await get(at("/v1/preflight", { server: server.id }))).preflight[0].hosts.filter((one) => one.host !== server["OS-EXT-SRV-ATTR:host"])}
    ready=${(hosts, { host }) => (host ? true : hosts.some((one) => one.status !== "failed"))}
    preview=${(hosts, { host = "" }, choose) => html`<p>The instance keeps running, and stands still for a moment at the end. Where to?</p>
      <fieldset><legend>Destination</legend>
        <label class="choice"><input type="radio" name="host" checked=${host === ""} onChange=${() => choose({ host: "" })} /> <span>let the scheduler choose</span></label>
        ${hosts.length ? null : html`<p class="empty">There is no other host.</p>`}
        ${hosts.map((one) => html`<label class="choice" key=${one.host}><input type="radio" name="host" disabled=${one.status === "failed"} checked=${host === one.host} onChange=${() => choose({ host: one.host })} />
          <span>${one.host} <${Badge} value=${one.status} /> <span class="quiet">${reasons(one)}</span></span></label>`)}
      </fieldset>`}
    run=${(_, { host }) => act(server, { "os-migrateLive": { host: host || null, block_migration: "auto" } })} />`;
}

function reasons(one) {
  const open = one.checks.filter((check) => check.status !== "passed");
  return open.map((check) => `${check.message}.${check.advice ? ` To do: ${check.advice}.` : ""}`).join(" ");
}

export function Migrate({ server, busy, done }) {
  return html`<${Action} label="Migrate cold…" title=${`Migrate ${server.name} cold`} confirm="Stop and migrate" danger done=${done}
    disabled=${busy || !["ACTIVE", "SHUTOFF", "SUSPENDED", "PAUSED"].includes(server.status)} load=${() => ({})}
    preview=${() => html`<p>The instance is <strong>stopped</strong>, its disks are copied to a host that the scheduler chooses, and it is started there if it ran. Then it waits for a word: confirm lets the move stand, revert brings it back.</p>`}
    run=${() => act(server, { migrate: null })} />`;
}

export function ConfirmMove({ server, busy, done }) {
  return html`<${Action} label="Confirm…" title=${`Confirm the move of ${server.name}`} confirm="Confirm" done=${done} disabled=${busy} load=${() => ({})}
    preview=${() => html`<p>The move stands. What the old host still has of the instance is deleted, so that it <strong>cannot be reverted</strong> any more.</p>`}
    run=${() => act(server, { confirmResize: null })} />`;
}

export function RevertMove({ server, busy, done }) {
  return html`<${Action} label="Revert…" title=${`Revert the move of ${server.name}`} confirm="Stop and revert" danger done=${done} disabled=${busy} load=${() => ({})}
    preview=${() => html`<p>The instance is stopped and goes back to its old host, as it was there. <strong>What it wrote since the move is lost</strong>.</p>`}
    run=${() => act(server, { revertResize: null })} />`;
}

export function AbortLive({ operation, done }) {
  return html`<${Action} label="Abort…" title=${`Abort live migration ${operation.id}`} confirm="Abort" danger done=${done} disabled=${operation.cancel_requested} load=${() => ({})}
    preview=${() => html`<p><${Way} row=${operation} />. The instance stays on its source, where it keeps running. Once the point of no return is passed, this is refused.</p>`}
    run=${() => call("DELETE", `/v2.1/servers/${operation.instance}/migrations/${operation.id}`)} />`;
}
