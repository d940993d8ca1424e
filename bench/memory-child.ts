import { openBench, pushOf } from './gateway.ts';

/**
 * The gateway's memory during one sync of 10,000 changes, in a process of its own (`--expose-gc`). Prints JSON, in MB:
 * growth of the resident set and of the heap at their highest, and of what is still held at the end.
 */
const CHANGES = 10_000;
const MB = 1024 * 1024;
const collect = globalThis.gc;
if (collect === undefined) throw new Error('Run this with --expose-gc.');

const bench = await openBench();
// Code is compiled and connections are open before anything is measured.
for (let user = 0; user < 5; user += 1) {
  await bench.sync(`warm${user}`, pushOf(`warm${user}`, 0, 1_000, null, ['items']));
}
const body = pushOf('alice', 0, CHANGES, null, ['items']);
collect();
collect();
const before = process.memoryUsage();
const highest = { rss: 0, heapUsed: 0 };
const look = () => {
  const { rss, heapUsed } = process.memoryUsage();
  highest.rss = Math.max(highest.rss, rss);
  highest.heapUsed = Math.max(highest.heapUsed, heapUsed);
};
const timer = setInterval(look, 5);
const { results } = await bench.sync('alice', body);
look();
clearInterval(timer);
const applied = results.filter(({ status }) => status === 'applied').length;
results.length = 0;
collect();
collect();
const after = process.memoryUsage();
await bench.dispose();
if (applied !== CHANGES) throw new Error(`Only ${applied} changes were applied.`);
console.log(
  JSON.stringify({
    rss: (highest.rss - before.rss) / MB,
    heap: (highest.heapUsed - before.heapUsed) / MB,
    left: (after.heapUsed - before.heapUsed) / MB,
    body: body.length / MB,
  }),
);
