// What a transfer's counters say: how much is left, how fast it goes, and when it may be over. Pure.
const PAGE_BYTES = 4096;

function sum(job, what) {
  return (job[`memory_${what}_bytes`] || 0) + (job[`disk_${what}_bytes`] || 0);
}

export function remaining(job) {
  return sum(job, "remaining");
}

export function rate(job) {
  if (job.bytes_per_s) return job.bytes_per_s;
  return job.elapsed_ms ? (sum(job, "processed") * 1000) / job.elapsed_ms : null;
}

// {s} or {why}: a guest that writes faster than the network carries gives no time at all.
export function eta(job) {
  const speed = rate(job);
  const left = remaining(job);
  if (!job.active || left === 0) return { s: 0 };
  if (!speed) return { why: "not known yet" };
  const useful = speed - (job.dirty_pages_per_s || 0) * PAGE_BYTES;
  return useful > 0 ? { s: left / useful } : { why: "the guest writes faster than this goes" };
}

export function processed(job) {
  return sum(job, "processed");
}

export function total(job) {
  return sum(job, "total");
}
