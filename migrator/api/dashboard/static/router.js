// Addresses of pages, behind the #. Owns how they are written and read.
export function route() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const parts = path.split("/").filter(Boolean).map(decoded);
  return { page: parts[0] || "hosts", id: parts[1] || null, query: Object.fromEntries(new URLSearchParams(query)) };
}

export function link(page, id, query) {
  const text = query ? `?${new URLSearchParams(query)}` : "";
  return `#/${page}${id === undefined || id === null ? "" : `/${encodeURIComponent(id)}`}${text}`;
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
