import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OperatingPointMeasured, Task } from '../src/api.ts';
import { Client } from '../src/client.ts';
import { Points } from '../src/points.ts';
import { type Context, type Memory, segment, type Wish } from '../src/run.ts';
import type { Sent } from '../src/send.ts';
import type { Series } from '../src/series.ts';
import type { View } from '../src/view/dom.ts';
import { pointChoice } from '../src/view/setup.ts';
import { json, served } from './served.ts';

const point = (name: string | null, threshold: number): OperatingPointMeasured => {
  return { name, threshold, dice: 0.5, sensitivity: 0.75, precision: 0.4, false_ml_per_case: 1.5, n: 12 };
};
const task = (id: string, operating_points: OperatingPointMeasured[]): Task =>
  ({ id, operating_points }) as unknown as Task;
const STROKE = task('stroke', [
  point('sensitive', 0.25),
  point(null, 0.4),
  point('balanced', 0.6),
  point('specific', 0.75),
]);
const TOTAL = task('total', []);

/** What a job is asked for. */
async function asked(points: Points, task: Task): Promise<Record<string, unknown>> {
  const kept = { volume: '7', groups: [{ id: 'image', sources: [] }], warnings: [] } as unknown as Sent;
  const memory: Memory = { known: () => kept, sent: () => undefined, created: () => undefined };
  const wish: Wish = {
    task,
    speed: 'default',
    point: points.of(task),
    structures: [],
    timePoint: undefined,
    others: [],
  };
  let body = '';
  await served(
    (request, response, sent) => {
      if (request.method === 'GET') return json(response, 200, {});
      body = sent.toString();
      json(response, 422, { code: 'unknown_task', message: 'no more', hint: '' });
    },
    async base => {
      const context = { client: new Client(base), archives: [], report: () => undefined };
      const series = { displaySet: {} } as unknown as Series;
      await assert.rejects(segment(context as unknown as Context, series, wish, memory), /no more/);
    },
  );
  return JSON.parse(body);
}

test('operating points are offered where the task has them, and sent where one is chosen', async () => {
  const points = new Points();
  const choice = (task: Task): View | undefined =>
    pointChoice({ task, points, run: undefined, changed: () => undefined });
  const list = (task: Task): View => choice(task)?.children[1] as View;
  const options = (task: Task): View[] => list(task).children as View[];

  assert.equal(choice(TOTAL), undefined);
  assert.deepEqual(
    options(STROKE).map(({ properties, children }) => [properties.value, children[0], properties.selected]),
    [
      ['', 'Default', true],
      ['balanced', 'Balanced (best Dice on validation cases, n = 12)', false],
      ['sensitive', 'Sensitive', false],
      ['specific', 'Specific', false],
    ],
  );
  assert.equal(list(STROKE).properties.title, 'Threshold 0.5');
  assert.ok(!('operating_point' in (await asked(points, STROKE))));

  const onchange = list(STROKE).properties.onchange as (event: unknown) => void;
  onchange({ target: { value: 'sensitive' } });
  assert.equal(options(STROKE)[2]?.properties.selected, true);
  assert.equal(
    list(STROKE).properties.title,
    'Threshold 0.25. On validation cases (n = 12): 75 % of the structure found, ' +
      '40 % of what was found is true, 1.5 mL false per case, mean Dice 0.50',
  );
  assert.equal((await asked(points, STROKE)).operating_point, 'sensitive');
  // The choice is that task's, and goes where the model has no such point any more.
  assert.ok(!('operating_point' in (await asked(points, TOTAL))));
  assert.equal(points.of(task('stroke', [point('specific', 0.75)])), undefined);
  onchange({ target: { value: '' } });
  assert.ok(!('operating_point' in (await asked(points, STROKE))));
});
