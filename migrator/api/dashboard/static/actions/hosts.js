// What can be asked for a whole host: drain, restore, evacuate; and of a drain that is under way.
import { at, call, get } from "../api.js";
import { plural, seconds } from "../format.js";
import { html } from "../html.js";
import { Plan } from "../pages/drains.js";
import { link } from "../router.js";
import { Action } from "./dialog.js";

function follow(answer) {
  location.hash = link("drains", answer.drain.id);
}

export function DrainHost({ host, done }) {
  return html`<${Action} label="Drain…" title=${`Drain ${host.name}`} confirm="Drain" done=${done} disabled=${host.state !== "up"}
    load=${async () => (await call("POST", "/v1/drains", { host: host.name, dry_run: true })).plan}
    preview=${(plan, { reason = "" }, choose) => html`<p>All instances leave the host, live where they can and cold where not, and it takes none in until it is restored. Predicted: ${seconds(plan.predicted_s)}, at most ${seconds(plan.longest_s)}.</p>
      <${Stuck} moves=${plan.moves} />
      <${Plan} moves=${plan.moves} />
      <label>Reason <input name="reason" maxlength="200" value=${reason} onInput=${(event) => choose({ reason: event.target.value })} /></label>`}
    run=${async (_, { reason = "" }) => follow(await call("POST", "/v1/drains", { host: host.name, reason }))} />`;
}

export function RestoreHost({ host, done }) {
  return html`<${Action} label="Restore…" title=${`Restore ${host.name}`} confirm="Restore" done=${done} disabled=${host.state !== "up" || host.enabled} load=${() => ({})}
    preview=${() => html`<p>The host takes instances in again, and what drains took away from it comes back.</p>`}
    run=${async () => follow(await call("POST", `/v1/hosts/${encodeURIComponent(host.name)}/restore`))} />`;
}

export function EvacuateHost({ host, done }) {
  const place = `/v1/hosts/${encodeURIComponent(host.name)}/evacuate`;
  return html`<${Action} label="Evacuate…" title=${`Evacuate ${host.name}`} confirm="Evacuate" danger done=${done} disabled=${!host.evacuation.possible}
    load=${async ({ discard = false }) => {
      const [{ plan }, { preflight }] = await Promise.all([
        call("POST", place, { discard_local_disks: discard, dry_run: true }),
        get(at("/v1/preflight", { evacuate: host.name })),
      ]);
      return { plan, losses: preflight.filter((one) => one.loses_data) };
    }}
    ready=${(_, { typed }) => typed === host.name}
    preview=${({ plan, losses }, { discard = false, typed = "" }, choose) => html`
      <p>All instances of the host begin elsewhere, from what other hosts have of their disks.</p>
      <p class="notice warn"><strong>Evidence</strong> that it runs nothing: ${host.evidence ? `${host.evidence.message}.` : "none yet; each instance waits for it."}</p>
      <${Losses} losses=${losses} />
      ${losses.length ? html`<label class="choice"><input type="checkbox" checked=${discard} onChange=${(event) => choose({ discard: event.target.checked }, true)} /> <span>Begin these, too, with their lost disks made anew</span></label>` : null}
      <${Stuck} moves=${plan.moves} />
      <${Plan} moves=${plan.moves} />
      <label>The host's name, to confirm <input name="typed" autocomplete="off" value=${typed} onInput=${(event) => choose({ typed: event.target.value })} /></label>`}
    run=${async (_, { discard = false }) => follow(await call("POST", place, { discard_local_disks: discard }))} />`;
}

function Losses({ losses }) {
  if (losses.length === 0) return html`<p class="notice good">No data is lost: every disk is on storage that other hosts have too.</p>`;
  return html`<div class="notice bad"><p><strong>Data that only this host has would be lost</strong>, of ${plural(losses.length, "instance")}:</p>
    <ul>${losses.map((one) => html`<li>${one.server.name}: ${one.disks.filter((disk) => !disk.kept).map((disk) => `${disk.target} ${fate(disk)}`).join(", ")}</li>`)}</ul></div>`;
}

function fate(disk) {
  if (disk.made_from === "config drive") return "made anew (config drive)";
  const origin = disk.made_from === "image" ? "made anew from its image" : "made anew, empty";
  return `lost with pool ${disk.pool}, ${origin}`;
}

function Stuck({ moves }) {
  const stuck = moves.filter((move) => move.state === "stuck");
  return stuck.length ? html`<p class="notice warn">${plural(stuck.length, "instance")} cannot go now: the plan says why.</p>` : null;
}

export function SteerDrain({ drain, done }) {
  const ask = (verb, body) => call("POST", `/v1/drains/${drain.id}/${verb}`, body);
  const other = drain.state === "paused" ? ["Resume", "resume", "Its moves begin again."] : ["Pause", "pause", "No further move begins; those under way go on."];
  return html`<${Action} label=${`${other[0]}…`} title=${`${other[0]} ${drain.kind} ${drain.id}`} confirm=${other[0]} done=${done} load=${() => ({})} preview=${() => html`<p>${other[2]}</p>`} run=${() => ask(other[1])} />
    <${Action} label="Cancel…" title=${`Cancel ${drain.kind} ${drain.id}`} confirm="Cancel it" danger done=${done} load=${() => ({})}
      preview=${(_, { undo = false }, choose) => html`<p>Moves under way are undone where they still can be.</p>
        <label class="choice"><input type="checkbox" checked=${undo} onChange=${(event) => choose({ undo: event.target.checked })} /> <span>Bring back what went already</span></label>`}
      run=${(_, { undo = false }) => ask("cancel", { undo })} />`;
}
