// What a piece of work costs: time by stage, processor time by program, and how long the page was held, by whom.
import fs from 'node:fs';

/** Of the kernel's clock. */
const TICKS_A_SECOND = 100;
/** Time between two looks at what the page does, in microseconds. */
const LOOK_EVERY = 1000;

/** Processor seconds so far of each program that these tests started, by its name; those of a browser by their part. */
function used() {
  const [children, own] = [new Map(), new Map()];
  for (const pid of fs.readdirSync('/proc').filter(name => /^\d+$/.test(name))) {
    const read = name => {
      try {
        return fs.readFileSync(`/proc/${pid}/${name}`, 'utf8');
      } catch {
        return ''; // It has ended meanwhile.
      }
    };
    const stat = read('stat');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [parent, ...times] = [1, 11, 12, 13, 14].map(n => Number(fields[n] ?? 0));
    const part = /--type=([\w-]+)/.exec(read('cmdline'))?.[1];
    const name = part ? `browser's ${part}` : stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
    own.set(Number(pid), [name, times.reduce((sum, time) => sum + time, 0) / TICKS_A_SECOND]);
    children.set(parent, [...(children.get(parent) ?? []), Number(pid)]);
  }
  const sums = {};
  const add = pid => {
    const [name, time] = own.get(pid) ?? ['', 0];
    sums[name] = (sums[name] ?? 0) + time;
    for (const child of children.get(pid) ?? []) add(child);
  };
  add(process.pid);
  return sums;
}

/** Longest tasks of the page's main thread that our script began or took part in, in milliseconds. */
function held({ nodes, samples, timeDeltas }) {
  const byId = new Map(nodes.map(node => [node.id, node]));
  for (const node of nodes) for (const child of node.children ?? []) byId.get(child).parent = node;
  /** `ours`: our code runs, or what the browser does for it; `host`: the viewer's code runs, called by us; `other`; `idle`. */
  const kinds = new Map();
  const isOurs = node => node.callFrame.url.includes('/plugins/@vesalius/');
  const isNative = node => node.callFrame.url === '';
  const kind = node => {
    if (!node) return 'other';
    if (kinds.has(node.id)) return kinds.get(node.id);
    const name = node.callFrame.functionName;
    let found;
    if (name === '(idle)') found = 'idle';
    else if (isOurs(node)) found = 'ours';
    else if (isNative(node)) found = kind(node.parent);
    else found = ['ours', 'host'].includes(kind(node.parent)) ? 'host' : 'other';
    kinds.set(node.id, found);
    return found;
  };
  const names = node => {
    const path = [];
    for (let at = node; at; at = at.parent) if (at.callFrame.url) path.push(at.callFrame.functionName || 'anonymous');
    return path;
  };
  const tasks = [];
  let last = 'other';
  let task = { total: 0, ours: 0, host: 0, where: new Map() };
  samples.forEach((id, n) => {
    const node = byId.get(id);
    const took = timeDeltas[n + 1] / 1000 || 0;
    const collects = node.callFrame.functionName === '(garbage collector)';
    const found = collects ? last : kind(node);
    last = found;
    // Nothing, or the browser itself: the page can answer.
    if (found === 'idle' || node.callFrame.functionName === '(program)') {
      if (task.ours + task.host > 0) tasks.push(task);
      task = { total: 0, ours: 0, host: 0, where: new Map() };
      return;
    }
    task.total += took;
    if (found === 'ours' || found === 'host') {
      task[found] += took;
      const at = `${found}: ${names(node).reverse().slice(-4).join(' > ')}`;
      task.where.set(at, (task.where.get(at) ?? 0) + took);
    }
  });
  const longest = key => {
    const [first] = [...tasks].sort((a, b) => b[key] - a[key]);
    if (!first) return { ms: 0, where: [] };
    const where = [...first.where].sort((a, b) => b[1] - a[1]).slice(0, 4);
    return { ms: Math.round(first[key]), where: where.map(([at, ms]) => `${at} ${ms.toFixed(0)}`) };
  };
  const sum = key => Math.round(tasks.reduce((all, task) => all + task[key], 0));
  return { ours: longest('ours'), host: longest('host'), allOurs: sum('ours'), allHost: sum('host') };
}

/** Does something, and says what it cost. */
export async function profiled(page, work) {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send('Profiler.enable');
  await devtools.send('Profiler.setSamplingInterval', { interval: LOOK_EVERY });
  await page.evaluate(() => performance.clearMarks());
  const before = used();
  await devtools.send('Profiler.start');
  const began = performance.now();
  await work();
  const wall = performance.now() - began;
  const end = await page.evaluate(() => performance.now());
  const { profile } = await devtools.send('Profiler.stop');
  const processor = Object.entries(used())
    .map(([name, time]) => [name, time - (before[name] ?? 0)])
    .filter(([, time]) => time >= 0.05);
  const marks = await page.evaluate(() =>
    performance.getEntriesByType('mark').filter(({ name }) => name.startsWith('vesalius: ')).map(({ name, startTime }) => [name.slice(10), startTime]),
  );
  const stages = new Map();
  marks.forEach(([name, from], n) => {
    const to = marks[n + 1]?.[1] ?? end;
    const stage = name.replace(/, .*/, '');
    stages.set(stage, (stages.get(stage) ?? 0) + to - from);
  });
  return { wall, processor, stages, held: held(profile) };
}
