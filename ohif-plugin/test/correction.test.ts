import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from '../src/client.ts';
import { Correction, Stale } from '../src/correction.ts';
import { type Delta, encode } from '../src/delta.ts';
import { json, served } from './served.ts';

/** One voxel of the first slice changes. */
const change = (i: number, from: number, to: number): string => {
  const delta: Delta = { start: [i, 0, 0], size: [1, 1, 1], runs: [{ skip: 0, length: 1, from, to }] };
  return encode(delta);
};

const SESSION = {
  id: 'a',
  job: 'j',
  dims: [4, 2, 2],
  revision: 0,
  structures: [],
  undo: 0,
  redo: 0,
  candidates: [],
};
const answer = (revision: number, delta: string) => ({
  ...SESSION,
  revision,
  structures: [{ value: 2, voxels: revision }],
  event: { revision, delta },
});

test('what others did meanwhile is taken over first', async () => {
  const asked: { path: string; body: { base?: number } }[] = [];
  let others: { revision: number; delta: string }[] = [];
  let isStale = false;
  await served(
    (request, response, body) => {
      const path = request.url ?? '';
      asked.push({ path, body: body.length ? JSON.parse(body.toString()) : {} });
      if (path.startsWith('/v1/sessions?series=')) return json(response, 200, []);
      if (path === '/v1/sessions') return json(response, 201, SESSION);
      if (path.endsWith('/labels')) return void response.end(new Uint8Array(16));
      if (path.includes('/events'))
        return void response.end(others.map(event => `${JSON.stringify(event)}\n`).join(''));
      if (isStale) return json(response, 409, { code: 'stale', message: 'changed', hint: '' });
      return json(
        response,
        200,
        answer(others.length ? 3 : 1, others.length ? change(2, 0, 2) : change(0, 0, 2)),
      );
    },
    async base => {
      const session = await Correction.open(new Client(base), 'j', '1.2.3');
      const first = await session.operate('redo');
      assert.deepEqual([session.revision, session.labels[0], first.slices], [1, 2, [0]]);

      others = [
        { revision: 2, delta: change(1, 0, 7) },
        { revision: 3, delta: change(2, 0, 2) },
      ];
      await session.operate('redo');
      assert.deepEqual([session.revision, [...session.labels.subarray(0, 4)]], [3, [2, 7, 2, 0]]);
      assert.equal(session.structures.find(({ value }) => value === 2)?.voxels, 3);

      [isStale, others] = [true, [{ revision: 4, delta: change(3, 0, 9) }]];
      await assert.rejects(session.operate('undo'), (error: Stale) => {
        assert.ok(error instanceof Stale);
        return error.slices.length === 1;
      });
      assert.deepEqual([session.revision, session.labels[3]], [4, 9]);
    },
  );
  const bases = asked.filter(({ path }) => path.endsWith('/operations')).map(({ body }) => body.base);
  assert.deepEqual(bases, [0, 1, 3]);
});

test('the session of before is gone on with', async () => {
  const asked: string[] = [];
  await served(
    (request, response) => {
      const path = request.url ?? '';
      asked.push(`${request.method} ${path}`);
      if (path.startsWith('/v1/sessions?series='))
        return json(response, 200, [
          { id: 'b', job: 'x' },
          { id: 'a', job: 'j' },
        ]);
      if (path.endsWith('/labels')) return void response.end(new Uint8Array(16));
      return json(response, 200, {
        ...SESSION,
        revision: 5,
        candidates: [{ voxels: 1 }],
        chosen: 0,
        label: 2,
      });
    },
    async base => {
      const session = await Correction.open(new Client(base), 'j', '1.2.3');
      assert.deepEqual([session.revision, session.chosen, session.label], [5, 0, 2]);
    },
  );
  assert.deepEqual(asked, [
    'GET /v1/sessions?series=1.2.3',
    'GET /v1/sessions/a',
    'GET /v1/sessions/a/labels',
  ]);
});

test('a stroke that others were in the way of is sent again, and says the same', async () => {
  const sent: { base: number; delta?: string }[] = [];
  await served(
    (request, response, body) => {
      const path = request.url ?? '';
      if (path.endsWith('/labels')) {
        response.setHeader('X-Vesalius-Revision', '0');
        return void response.end(new Uint8Array(16));
      }
      if (path.includes('/events'))
        return void response.end(`${JSON.stringify({ revision: 1, delta: change(1, 0, 7) })}\n`);
      if (!path.endsWith('/operations')) return json(response, 200, SESSION);
      const asked = JSON.parse(body.toString());
      sent.push(asked);
      if (asked.base === 0) return json(response, 409, { code: 'stale', message: 'changed', hint: '' });
      return json(response, 200, answer(2, asked.delta));
    },
    async base => {
      const session = await Correction.resume(new Client(base), 'a');
      const stroke: Delta = {
        start: [0, 0, 0],
        size: [2, 1, 1],
        runs: [{ skip: 0, length: 2, from: 0, to: 2 }],
      };
      await session.operate('foreign', stroke);
      assert.deepEqual([session.revision, [...session.labels.subarray(0, 3)]], [2, [2, 2, 0]]);
    },
  );
  assert.deepEqual(
    sent.map(({ base }) => base),
    [0, 1],
  );
});
