import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readCode } from '../src/pairing.ts';
import {
  decode,
  encode,
  isProven,
  longTermKey,
  nonce,
  pairingKey,
  prove,
  sessionText,
} from '../src/proof.ts';

const TALK = {
  nonce: 'n',
  serverNonce: 's',
  origin: 'https://viewer.example',
  port: 38917,
  instance: 'abc',
};

test('proofs are those of Python’s standard library', async () => {
  // tests/reference/ohif/vectors.py
  const key = await pairingKey('K7QFM2XD9TRW', TALK);
  assert.equal(await prove(key, 'pair-c'), '-Jj1hmtH1blnZAsELPi7HKHZBjFcCQqtIbv0WHV6jk0');
  assert.ok(await isProven(key, 'pair-s', 'vwXhdFVGK2KdRl5hz02mTmEZ4iGq-gWn_6mF1oM9rEM'));
  for (const wrong of ['', 'x', '-Jj1hmtH1blnZAsELPi7HKHZBjFcCQqtIbv0WHV6jk0', 'no base64!']) {
    assert.equal(await isProven(key, 'pair-s', wrong), false, wrong);
  }
  const kept = await longTermKey(key);
  assert.equal(kept.extractable, false);
  assert.equal(
    await prove(kept, sessionText('cli1', 'id', TALK)),
    'gr-xGLrbg1aiWFvbvIidiNCEyfuFdwVbiDIGyMzZSE8',
  );
  assert.ok(
    await isProven(kept, sessionText('srv1', 'id', TALK), 'fJvVyQzJvHrGYUerJgVoNg3xnKNvhkxjmd5JHtbOsJk'),
  );
  assert.equal(
    await isProven(
      kept,
      sessionText('srv1', 'id', { ...TALK, port: 38918 }),
      'fJvVyQzJvHrGYUerJgVoNg3xnKNvhkxjmd5JHtbOsJk',
    ),
    false,
  );
});

test('numbers are 32 bytes in base64url, and never the same', () => {
  const [one, other] = [nonce(), nonce()];
  assert.notEqual(one, other);
  assert.match(one, /^[\w-]{43}$/);
  assert.equal(encode(decode(one) ?? new Uint8Array()), one);
});

test('codes are read as people type them', () => {
  const code = { port: 38917, code: 'K7QFM2XD9TRW' };
  for (const typed of ['38917-K7QF-M2XD-9TRW', ' 38917 k7qf m2xd 9trw ', '38917-K7QFM2XD9TRW']) {
    assert.deepEqual(readCode(typed), code, typed);
  }
  assert.deepEqual(readCode('38917-O1IL-0000-0000')?.code, '011100000000');
  for (const typed of [
    '',
    '38917',
    'K7QF-M2XD-9TRW',
    '38917-K7QF-M2XD-9TR',
    '99999-K7QF-M2XD-9TRW',
    '38917-K7QF-M2XD-9TRU',
  ]) {
    assert.equal(readCode(typed), undefined, typed);
  }
});
