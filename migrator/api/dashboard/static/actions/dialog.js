// An action in three steps: a preview of what it would do, a confirmation, and what became of it. Nothing is asked of the
// server that changes anything before the confirmation.
import { Component, createRef, html } from "../html.js";
import { Said } from "../parts.js";

// label, title, load() -> what the preview shows; preview(found, state, set); run(found, state); ready(found, state).
export class Action extends Component {
  dialog = createRef();
  state = { open: false };

  begin = async () => {
    this.setState({ open: true, found: undefined, error: null, running: false, chosen: {} }, () => this.dialog.current.showModal());
    await this.load({});
  };

  // What is confirmed is what is shown: until the newest preview is there, nothing can be.
  load = async (chosen) => {
    const mine = (this.newest = {});
    this.setState({ loading: true });
    try {
      const found = (await this.props.load?.(chosen)) ?? null;
      if (mine === this.newest) this.setState({ found, error: null, loading: false });
    } catch (error) {
      if (mine === this.newest) this.setState({ found: undefined, error, loading: false });
    }
  };

  choose = (more, again = false) => {
    const chosen = { ...this.state.chosen, ...more };
    this.setState({ chosen });
    if (again) this.load(chosen);
  };

  run = async (event) => {
    event.preventDefault();
    this.setState({ running: true, error: null });
    try {
      await this.props.run(this.state.found, this.state.chosen);
      this.close();
      this.props.done?.();
    } catch (error) {
      this.setState({ error, running: false });
    }
  };

  close = () => {
    this.dialog.current?.close();
    this.setState({ open: false });
  };

  render({ label, title, preview, confirm, ready, disabled, danger }, { open, found, error, running, loading, chosen }) {
    const may = found !== undefined && !running && !loading && (ready?.(found, chosen) ?? true);
    return html`<button type="button" class=${danger ? "danger" : ""} disabled=${disabled} onClick=${this.begin}>${label}</button>
      ${open ? html`<dialog ref=${this.dialog} onClose=${this.close} aria-label=${title}>
        <form onSubmit=${this.run}>
          <h2>${title}</h2>
          ${found === undefined && !error ? html`<p role="status">Looking at what it would do…</p>` : null}
          ${found === undefined ? null : preview(found, chosen, this.choose)}
          ${error ? html`<div role="alert" class="notice bad"><${Said} error=${error} /></div>` : null}
          <div class="buttons"><button type="button" class="plain" onClick=${this.close}>Leave it</button><button class=${danger ? "danger" : "main"} disabled=${!may}>${confirm}</button></div>
        </form>
      </dialog>` : null}`;
  }
}
