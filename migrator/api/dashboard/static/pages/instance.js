// One instance: where it runs and by whose word, whether its data is safe, what is under way, and its history.
import { at } from "../api.js";
import { ConfirmMove, LiveMigrate, Migrate, RevertMove } from "../actions/instances.js";
import { clock } from "../format.js";
import { html } from "../html.js";
import { Live } from "../live.js";
import { Badge, Facts, Host, Loading, Trouble } from "../parts.js";
import { AlarmList } from "./alarms.js";
import { addresses, flavor } from "./instances.js";
import { MoveList, OperationTable } from "./moves.js";

export class InstancePage extends Live {
  static title = "Instance";

  sources() {
    const id = encodeURIComponent(this.props.id);
    return {
      where: `/v1/servers/${id}/where`,
      server: `/v2.1/servers/${id}`,
      history: at("/v1/operations", { instance: this.props.id, progress: true, limit: 50 }),
    };
  }

  period() {
    return this.state.data.history?.operations.some((row) => row.active) ? 1000 : 5000;
  }

  concerns(event) {
    return event.instance === this.props.id;
  }

  render() {
    const { data, errors } = this.state;
    const server = data.server?.server;
    const where = data.where?.where;
    if (!server && !where) return html`<${Trouble} errors=${errors} />${Object.keys(errors).length ? null : html`<${Loading} />`}`;
    const rows = data.history?.operations ?? [];
    const running = rows.filter((row) => row.active);
    return html`<${Trouble} errors=${server ? errors : {}} />
      <p class="lead"><strong class="name">${server?.name ?? where?.name ?? this.props.id}</strong> ${server ? html`<${Badge} value=${server.status} />` : html`<${Badge} value="deleted" />`}
        ${server?.["OS-EXT-STS:task_state"] ? html` <span>${server["OS-EXT-STS:task_state"]}</span>` : null}</p>
      ${server ? html`<${Buttons} server=${server} done=${this.refresh} />` : null}
      <div class="columns">
        ${where ? html`<${Where} where=${where} />` : null}
        ${server ? html`<${About} server=${server} />` : null}
      </div>
      ${where?.alarms.length ? html`<h2>Alarms</h2><${AlarmList} alarms=${where.alarms} />` : null}
      ${running.length ? html`<h2>Under way</h2><${MoveList} rows=${running} />` : null}
      ${data.history ? html`<h2>History</h2><${OperationTable} rows=${rows.filter((row) => !row.active)} caption="What was done to the instance" instance=${false} />` : null}`;
  }
}

function Buttons({ server, done }) {
  const busy = server["OS-EXT-STS:task_state"] !== null;
  const can = { server, done, busy };
  if (server.status === "VERIFY_RESIZE") return html`<div class="buttons"><${ConfirmMove} ...${can} /><${RevertMove} ...${can} /></div>`;
  return html`<div class="buttons"><${LiveMigrate} ...${can} /><${Migrate} ...${can} /></div>`;
}

function Where({ where }) {
  const lost = where.if_host_is_lost;
  return html`<section class="card"><h2>Where it is <${Badge} value=${where.standing} /></h2>
    <p>${where.summary}</p>
    ${where.elsewhere.map((sentence) => html`<p class="notice warn">${sentence}</p>`)}
    ${lost ? html`<p><${Badge} value=${lost.keeps_its_data ? "data safe" : "data at risk"} tone=${lost.keeps_its_data ? "good" : "warn"} /> If its host died now: ${lost.summary}</p>` : null}
    <h3>What to do</h3>
    <ul>${where.advice.map((sentence) => html`<li>${sentence}</li>`)}</ul>
  </section>`;
}

function About({ server }) {
  return html`<section class="card"><h2>The instance</h2>
    <${Facts} rows=${[
      ["Host", html`<${Host} name=${server["OS-EXT-SRV-ATTR:host"]} />`],
      ["UUID", html`<code>${server.id}</code>`],
      ["Flavor", flavor(server)],
      ["Addresses", addresses(server)],
      ["Project", server.tenant_id],
      ["Created", clock(server.created)],
      ["Locked", server.locked ? "yes" : null],
      ["Fault", server.fault?.message],
    ]} /></section>`;
}
