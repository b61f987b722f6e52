// What was found wrong and is not over, each with what to do.
import { at } from "../api.js";
import { clock } from "../format.js";
import { html } from "../html.js";
import { Live } from "../live.js";
import { Badge, Host, Loading, Trouble } from "../parts.js";
import { link } from "../router.js";

export class Alarms extends Live {
  static title = "Alarms";

  sources() {
    return { alarms: at("/v1/alarms", { limit: 200 }) };
  }

  render() {
    const { data, errors } = this.state;
    const found = data.alarms;
    return html`<${Trouble} errors=${errors} />
      ${found ? html`${found.total > found.alarms.length ? html`<p class="lead">The newest ${found.alarms.length} of ${found.total}.</p>` : null}<${AlarmList} alarms=${found.alarms} />` : Object.keys(errors).length ? null : html`<${Loading} />`}`;
  }
}

export function AlarmList({ alarms }) {
  if (alarms.length === 0) return html`<p class="empty">No alarm is open.</p>`;
  return html`<ul class="moves">${alarms.map(
    (alarm) => html`<li key=${alarm.id} class="card alarm">
      <p class="head"><${Badge} value=${alarm.kind} tone="bad" /> <span class="quiet">since ${clock(alarm.since)}</span></p>
      <p>${alarm.host ? html`Host <${Host} name=${alarm.host} />. ` : null}${alarm.instance ? html`Instance <a href=${link("instances", alarm.instance)}>${alarm.instance}</a>. ` : null}${alarm.message}</p>
      ${alarm.advice ? html`<p><strong>To do:</strong> ${alarm.advice}</p>` : null}
    </li>`,
  )}</ul>`;
}
