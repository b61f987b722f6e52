// Numbers and moments as people read them. Pure.
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function bytes(count) {
  if (count === null || count === undefined) return "–";
  let unit = 0;
  let value = Number(count);
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value >= 100 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

export function mib(count) {
  return bytes(count * 1024 * 1024);
}

export function gib(count) {
  return bytes(count * 1024 ** 3);
}

export function seconds(count) {
  if (count === null || count === undefined || !Number.isFinite(count)) return "–";
  if (count < 0.001) return "0 s";
  if (count < 1) return `${Math.round(count * 1000)} ms`;
  if (count < 60) return `${count < 10 ? count.toFixed(1) : Math.round(count)} s`;
  const minutes = Math.floor(count / 60);
  if (minutes < 60) return `${minutes} min ${Math.round(count % 60)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.round(hours / 24)} days`;
}

// The API's dates are UTC; those of records do not say so.
export function moment(text) {
  return text ? new Date(/Z$|[+-]\d\d:\d\d$/.test(text) ? text : `${text}Z`) : null;
}

export function clock(text) {
  const at = moment(text);
  if (at === null) return "–";
  const today = new Date().toDateString() === at.toDateString();
  return today ? at.toLocaleTimeString() : at.toLocaleString();
}

export function between(begin, end) {
  const from = moment(begin);
  return from === null ? null : ((moment(end) ?? new Date()) - from) / 1000;
}

export function plural(count, one, many = `${one}s`) {
  return `${count} ${count === 1 ? one : many}`;
}
