// A page whose data stay fresh: loaded at once, again when an event concerns it, and by a slow beat for what no event
// tells. Hidden tabs ask for nothing.
import { get } from "./api.js";
import { subscribe } from "./events.js";
import { Component } from "./html.js";

const SOON_MS = 200; // events come in bunches
const REST = 20; // times as long as the last answers took: no page is dear to the server
const LONGEST_REST_MS = 10000; // of a server that is slow for others' sake: what begins is seen while it lasts

export class Live extends Component {
  constructor(props) {
    super(props);
    this.state = { data: {}, errors: {} };
  }

  // name -> path
  sources() {
    return {};
  }

  // ms until it is asked again without an event
  period() {
    return 15000;
  }

  concerns() {
    return true;
  }

  componentDidMount() {
    this.leave = subscribe((event) => (event === null || this.concerns(event)) && this.soon());
    this.refresh();
  }

  componentWillUnmount() {
    this.gone = true;
    this.leave();
    clearTimeout(this.timer);
    clearTimeout(this.due);
    this.asking?.abort();
  }

  soon() {
    if (!this.due) this.due = setTimeout(this.refresh, Math.max(SOON_MS, this.restMs()));
  }

  // Until it may be asked for again.
  restMs() {
    if (this.asked === undefined) return 0;
    return Math.min(LONGEST_REST_MS, REST * this.tookMs) - (performance.now() - this.asked - this.tookMs);
  }

  refresh = async () => {
    clearTimeout(this.timer);
    clearTimeout(this.due);
    this.due = null;
    if (this.busy) {
      this.again = true;
      return;
    }
    this.busy = true;
    this.asking = new AbortController();
    const asked = performance.now();
    const data = {};
    const errors = {};
    await Promise.all(
      Object.entries(this.sources()).map(async ([name, path]) => {
        try {
          data[name] = await get(path, this.asking.signal);
        } catch (error) {
          errors[name] = error;
        }
      }),
    );
    this.busy = false;
    this.asked = asked;
    this.tookMs = performance.now() - asked;
    if (this.gone) return;
    // what could not be read now stays as it was, beside the error; what is refused is no longer shown
    const kept = Object.fromEntries(Object.entries(this.state.data).filter(([name]) => errors[name]?.status === 0));
    this.setState({ data: { ...kept, ...data }, errors }, this.schedule);
  };

  // Once the page has the data, for they say how soon they are old.
  schedule = () => {
    if (this.gone) return;
    if (this.again) {
      this.again = false;
      this.soon();
    } else if (!document.hidden) {
      this.timer = setTimeout(this.refresh, Math.max(this.period(), this.restMs()));
    }
  };
}
