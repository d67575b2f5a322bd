import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, Refusal, type Signer, Unreachable } from '../src/client.ts';
import { json, served } from './served.ts';

test('refusals come in the words of the sidecar', async () => {
  await served(
    (_, response) => json(response, 413, { code: 'too_large', message: 'too many', hint: 'send less' }),
    async base => {
      await assert.rejects(new Client(base).json('/v1/info'), (error: Refusal) => {
        assert.deepEqual(
          [error.status, error.code, error.message, error.hint],
          [413, 'too_large', 'too many', 'send less'],
        );
        return error instanceof Refusal;
      });
    },
  );
});

test('a sidecar that is not there, or broke off, is unreachable', async () => {
  await assert.rejects(new Client('http://127.0.0.1:1').json('/v1/info'), Unreachable);
  await served(
    (_, response) => response.writeHead(502).end('<html>'),
    base => assert.rejects(new Client(base).json('/v1/info'), Unreachable),
  );
  await served(
    (_, response) => {
      response.writeHead(200, { 'Content-Length': '100' });
      response.write('half');
      setTimeout(() => response.destroy(), 20);
    },
    base => assert.rejects(new Client(base).bytes('/v1/jobs/1/labels'), Unreachable),
  );
});

test('a token that has run out is renewed once', async () => {
  let token = 'old';
  let renewals = 0;
  const signer: Signer = {
    token: () => token,
    renew: async () => {
      renewals += 1;
      token = 'new';
      return true;
    },
  };
  await served(
    (request, response) => {
      const isGood = request.headers.authorization === 'Bearer new';
      json(response, isGood ? 200 : 401, isGood ? [1] : { code: 'unauthorized', message: 'no', hint: '' });
    },
    async base => {
      assert.deepEqual(await new Client(base, signer).json('/v1/tasks'), [1]);
      assert.equal(renewals, 1);
    },
  );
  await served(
    (_, response) => json(response, 401, { code: 'unauthorized', message: 'no', hint: '' }),
    base => assert.rejects(new Client(base, signer).json('/v1/tasks'), Refusal),
  );
});

test('voxels go in pieces, one after the other', async () => {
  const got: [string, number][] = [];
  let bytes = Buffer.alloc(0);
  await served(
    (request, response, body) => {
      got.push([request.url ?? '', body.length]);
      bytes = Buffer.concat([bytes, body]);
      json(response, 200, {});
    },
    async base => {
      const large = new Uint8Array((16 << 20) + 5).fill(3);
      const parts = async function* (): AsyncGenerator<Blob> {
        yield new Blob([new Uint8Array([1, 2])]);
        yield new Blob([large]);
      };
      const told: number[] = [];
      await new Client(base).upload('/data', parts(), undefined, sent => told.push(sent));
      assert.deepEqual(got, [
        ['/data?offset=0', 2],
        ['/data?offset=2', 16 << 20],
        [`/data?offset=${2 + (16 << 20)}`, 5],
      ]);
      assert.equal(told.at(-1), bytes.length);
      assert.deepEqual([...bytes.subarray(0, 3), bytes.at(-1)], [1, 2, 3, 3]);
    },
  );
});

test('lines of JSON are read as they come, wherever they are cut', async () => {
  await served(
    (_, response) => {
      response.writeHead(200, { 'Content-Type': 'application/x-ndjson' });
      response.write('{"n":1}\n{"n"');
      setTimeout(() => response.end(':2,"text":"µ"}\n'), 20);
    },
    async base => {
      const lines = [];
      for await (const line of new Client(base).lines('/v1/jobs/1/events')) lines.push(line);
      assert.deepEqual(lines, [{ n: 1 }, { n: 2, text: 'µ' }]);
    },
  );
});
