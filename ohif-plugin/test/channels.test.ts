import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Task } from '../src/api.ts';
import { assigned, Channels, type Choice } from '../src/channels.ts';
import type { DisplaySet, Host } from '../src/host.ts';
import { type Series, seriesOf } from '../src/series.ts';

const choice = (label: string, type = '', timePoint?: number): Choice => {
  const displaySet = { instances: [{ SOPInstanceUID: '1', ImageType: type }] } as unknown as DisplaySet;
  return { key: label, label, series: { displaySet } as Series, timePoint };
};
const of = (names: string[], choices: Choice[], wanted: [string, string][] = []) =>
  assigned(names, choices, new Map(wanted)).map(({ choice }) => choice?.label);

test('images are found by what their series are called', () => {
  const [dwi, adc] = [choice('MR · 4 · ep2d_diff_3scan_trace'), choice('MR · 5 · ep2d_diff_3scan_trace_ADC')];
  assert.deepEqual(of(['DWI', 'ADC'], [dwi, adc]), [dwi.label, adc.label]);
  assert.deepEqual(of(['ADC', 'DWI'], [adc, dwi]), [adc.label, dwi.label]);
  // By what the scanner says of the image, where the description says nothing.
  const map = choice('MR · 6 · ep2d', 'DERIVED,PRIMARY,DIFFUSION,ADC');
  assert.deepEqual(of(['DWI', 'ADC'], [dwi, map]), [dwi.label, map.label]);
  assert.deepEqual(of(['FLAIR'], [choice('MR · 1 · T2'), choice('MR · 2 · t2_tirm_tra_dark-fluid')]), [
    'MR · 2 · t2_tirm_tra_dark-fluid',
  ]);
});

test('of several b-values the usual one is meant', () => {
  const points = [0, 500, 1000, 3000].map((b, n) => choice(`MR · 4 · DWI, b = ${b} s/mm²`, '', n));
  assert.deepEqual(of(['DWI'], points), ['MR · 4 · DWI, b = 1000 s/mm²']);
});

test('what the user chose stays, and what nothing is known of is left open', () => {
  const [one, two] = [choice('MR · 1 · DWI'), choice('MR · 2 · whatever')];
  assert.deepEqual(of(['DWI', 'ADC'], [one, two]), ['MR · 1 · DWI', undefined]);
  assert.deepEqual(of(['DWI', 'ADC'], [one, two], [['ADC', 'MR · 2 · whatever']]), [one.label, two.label]);
  // A channel whose image the user gave to another looks for the next.
  assert.deepEqual(of(['DWI', 'ADC'], [one, two], [['ADC', 'MR · 1 · DWI']]), [undefined, one.label]);
});

test('the result lies on the images of the pane, which must be one of the task’s', () => {
  const set = (name: string): DisplaySet => ({
    displaySetInstanceUID: name,
    StudyInstanceUID: 'study',
    SeriesInstanceUID: name,
    SeriesDescription: name,
    Modality: 'MR',
    imageIds: ['a', 'b'],
    instances: [{ SOPInstanceUID: '1' }],
  });
  const sets = ['DWI', 'ADC', 'T1'].map(set);
  const host = { services: { displaySetService: { getActiveDisplaySets: () => sets } } } as unknown as Host;
  const task = { modality: 'MR', channels: ['DWI', 'ADC'] } as unknown as Task;
  const said = (n: number): string | undefined =>
    new Channels(host).missing(task, seriesOf(sets[n] as DisplaySet, 'pane'));
  assert.deepEqual([0, 1, 2].map(said), [
    undefined,
    undefined,
    'Click a pane that shows one of these images.',
  ]);
});
