// The page's frame: navigation, search, the state of the stream, credentials; and the page that the address names.
import { get, hasToken, onRefused, setToken } from "./api.js";
import { resume, start, subscribe, watchState } from "./events.js";
import { Component, createRef, html, render } from "./html.js";
import { route, link } from "./router.js";
import { Alarms } from "./pages/alarms.js";
import { DrainPage, Drains } from "./pages/drains.js";
import { HostPage } from "./pages/host.js";
import { Hosts } from "./pages/hosts.js";
import { InstancePage } from "./pages/instance.js";
import { Instances, UUID } from "./pages/instances.js";
import { Moves } from "./pages/moves.js";
import { OperationPage } from "./pages/operation.js";

const PAGES = { hosts: [Hosts, HostPage], moves: [Moves], operations: [Moves, OperationPage], drains: [Drains, DrainPage], instances: [Instances, InstancePage], alarms: [Alarms] };
const NAVIGATION = [["hosts", "Fleet"], ["moves", "Moves"], ["drains", "Drains"], ["instances", "Instances"], ["alarms", "Alarms"]];
const STATES = { live: "live", connecting: "connecting…", paused: "paused", denied: "not live: your role may not follow events" };

class App extends Component {
  heading = createRef();
  state = { route: route(), stream: "connecting", alarms: null, challenge: null };

  componentDidMount() {
    addEventListener("hashchange", () => this.setState({ route: route() }, () => this.heading.current?.focus()));
    onRefused((challenge) => this.setState({ challenge }));
    watchState((stream) => this.setState({ stream }));
    subscribe((event) => (event === null || event.name.includes("alarm")) && this.count());
    this.count();
    start();
  }

  async count() {
    try {
      this.setState({ alarms: (await get("/v1/alarms?limit=1")).total });
    } catch {
      this.setState({ alarms: null }); // the page says what is wrong
    }
  }

  enter = (token) => {
    setToken(token);
    this.setState({ challenge: null });
    resume();
  };

  render(_, { route: now, stream, alarms, challenge }) {
    const [list, one] = PAGES[now.page] ?? [];
    const Page = now.id ? one : list;
    const title = Page ? Page.named && now.id ? `${Page.title} ${now.id}` : Page.title : "No such page";
    document.title = `${title} – migrator`;
    return html`<a class="skip" href="#main" onClick=${this.skip}>To the content</a>
      <header>
        <a class="brand" href="#/">migrator</a>
        <nav aria-label="Pages">${NAVIGATION.map(([page, label]) => html`<a href=${link(page)} aria-current=${now.page === page ? "page" : null}>${label}${page === "alarms" && alarms ? html` <span class="count" aria-label=${`${alarms} open`}>${alarms}</span>` : null}</a>`)}</nav>
        <${Search} q=${now.query.q} />
        <span class="stream ${stream}" role="status">${STATES[stream]}</span>
        ${hasToken() ? html`<button type="button" class="plain" onClick=${() => this.enter(null)}>Forget the token</button>` : null}
      </header>
      <main id="main" tabindex="-1">
        <h1 tabindex="-1" ref=${this.heading}>${title}</h1>
        ${challenge === null ? null : html`<${Credentials} challenge=${challenge} enter=${this.enter} />`}
        ${Page ? html`<${Page} key=${location.hash} id=${now.id} query=${now.query} />` : html`<p>There is no such page. <a href="#/">The fleet</a></p>`}
      </main>`;
  }

  skip = (event) => {
    event.preventDefault(); // the part behind the # is a page's address here
    document.getElementById("main").focus();
  };
}

class Search extends Component {
  find = (event) => {
    event.preventDefault();
    const q = new FormData(event.target).get("q").trim();
    location.hash = UUID.test(q) ? link("instances", q.toLowerCase()) : link("instances", null, q ? { q } : undefined);
  };

  render({ q }) {
    return html`<form role="search" onSubmit=${this.find}>
      <input type="search" name="q" value=${q ?? ""} maxlength="255" aria-label="Search by name, UUID, address or host" placeholder="name, UUID, address, host" />
    </form>`;
  }
}

function Credentials({ challenge, enter }) {
  if (challenge.toLowerCase().startsWith("basic")) {
    return html`<div class="notice bad" role="alert"><p>This server asks for a user and a password. Load the page again to be asked for them.</p></div>`;
  }
  const submit = (event) => {
    event.preventDefault();
    enter(new FormData(event.target).get("token").trim());
  };
  return html`<form class="card" onSubmit=${submit}>
    <h2>A token is needed</h2>
    <p>Give a token of Keystone's, as <code>openstack token issue -f value -c id</code> prints it. It is kept until this tab is closed, and sent to this server alone.</p>
    <label>Token <input type="password" name="token" autocomplete="off" required /></label>
    <button>Use it</button>
  </form>`;
}

const place = document.getElementById("app");
place.replaceChildren();
render(html`<${App} />`, place);
