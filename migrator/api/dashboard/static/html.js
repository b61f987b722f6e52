// Preact and htm together. What is put into a template becomes text or an attribute, and never markup: names of guests and
// messages of hypervisors are other people's.
import { Component, createRef, h, render } from "./vendor/preact.js";
import htm from "./vendor/htm.js";

export const html = htm.bind(h);
export { Component, createRef, render };
