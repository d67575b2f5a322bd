import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Task } from '../src/api.ts';
import { Client } from '../src/client.ts';
import { offersOf } from '../src/offers.ts';
import { json, served } from './served.ts';

test('jobs are offered as they were corrected, and corrections outlast their jobs', async () => {
  const job = (id: string, state = 'done') => ({ id, state, task: 'total', volume: 'v', created: 5 });
  const session = (id: string, job: string | null, revision: number) => ({
    id,
    job,
    revision,
    volume: 'v',
    created: 6,
    touched: 7,
  });
  await served(
    (request, response) => {
      const path = request.url ?? '';
      assert.ok(path.endsWith('?series=1.2.3'), path);
      if (path.startsWith('/v1/jobs')) return json(response, 200, [job('a'), job('b'), job('c', 'failed')]);
      return json(response, 200, [
        session('s3', 'gone', 4),
        session('s2', 'a', 2),
        session('s1', 'a', 1),
        session('s0', 'gone', 1),
      ]);
    },
    async base => {
      const tasks = [{ id: 'total', title: 'all organs' }] as Task[];
      const offers = await offersOf(new Client(base), '1.2.3', tasks);
      const told = offers.map(({ job, session, isCorrected, title }) => [job, session, isCorrected, title]);
      assert.deepEqual(told, [
        ['a', 's2', true, 'all organs'],
        ['b', undefined, false, 'all organs'],
        ['gone', 's3', true, 'Corrected result'],
      ]);
    },
  );
});
