// Calls of this server, with the caller's credential. Owns the token, which lives as long as the tab. A browser adds the
// user and password of HTTP's own dialog without help.
const TOKEN = "migrator.token";
const VERSION = "compute 2.96";
let refused = () => {};

export class ApiError extends Error {
  // status 0: no answer came.
  constructor(status, message, advice) {
    super(message);
    this.status = status;
    this.advice = advice;
  }
}

// Called with the server's challenge whenever a credential is missing or wrong.
export function onRefused(act) {
  refused = act;
}

export function setToken(token) {
  if (token) sessionStorage.setItem(TOKEN, token);
  else sessionStorage.removeItem(TOKEN);
}

export function hasToken() {
  return sessionStorage.getItem(TOKEN) !== null;
}

export async function open(method, path, { body, headers = {}, signal } = {}) {
  const token = sessionStorage.getItem(TOKEN);
  const sent = { Accept: "application/json", ...headers };
  if (token) sent["X-Auth-Token"] = token;
  if (path.startsWith("/v2.1")) sent["OpenStack-API-Version"] = VERSION;
  if (body !== undefined) sent["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, { method, headers: sent, body: body === undefined ? undefined : JSON.stringify(body), signal, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "The server does not answer.", "See whether its process runs and the network is up.");
  }
  if (answer.ok) return answer;
  if (answer.status === 401) refused(answer.headers.get("WWW-Authenticate") || "");
  throw await errorOf(answer);
}

export async function call(method, path, body, signal) {
  const answer = await open(method, path, { body, signal });
  const text = await answer.text();
  return text ? JSON.parse(text) : null;
}

export function get(path, signal) {
  return call("GET", path, undefined, signal);
}

// "/v1/hosts?name=a%2Fb": values are escaped, and what is null or "" is left out.
export function at(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = new URLSearchParams(given).toString();
  return text ? `${path}?${text}` : path;
}

async function errorOf(answer) {
  let told = {};
  try {
    const body = await answer.json();
    told = body.message ? body : (Object.values(body)[0] ?? {});
  } catch {
    // a proxy's page, not ours: its status says enough
  }
  const message = typeof told.message === "string" ? told.message : `The server answered ${answer.status}.`;
  return new ApiError(answer.status, message, typeof told.advice === "string" ? told.advice : "");
}
