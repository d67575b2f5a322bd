import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Slice } from '../src/geometry.ts';
import type { Instance } from '../src/host.ts';
import { originOf, text } from '../src/origin.ts';
import type { Series } from '../src/series.ts';

const slices = (...sources: string[]): Slice[] =>
  sources.map(source => ({ imageId: source, source, plane: {} as Slice['plane'] }));

function series(instance: Partial<Instance>): Series {
  return {
    viewportId: 'default',
    displaySet: { instances: [{ SOPInstanceUID: '1.2', ...instance }] } as Series['displaySet'],
    studyUid: '1.2.3',
    seriesUid: '1.2.4',
    modality: 'CT',
    title: '',
    images: 2,
  };
}

test('what a derived object repeats is told, and nothing else', () => {
  const origin = originOf(
    series({
      PatientName: [{ Alphabetic: 'Müller^Änne' }],
      PatientID: '7',
      PatientWeight: 70.5,
      OperatorsName: 'Somebody',
      FrameOfReferenceUID: '1.2.9',
      SOPClassUID: '1.2.840.10008.5.1.4.1.1.2',
    }),
    slices('1.2.5', '1.2.6'),
  );
  assert.deepEqual(origin, {
    sources: ['1.2.5', '1.2.6'],
    series: {
      study_instance_uid: '1.2.3',
      series_instance_uid: '1.2.4',
      frame_of_reference_uid: '1.2.9',
      sop_class_uid: '1.2.840.10008.5.1.4.1.1.2',
      attributes: { PatientName: 'Müller^Änne', PatientID: '7', PatientWeight: '70.5' },
    },
  });
});

test('frames of one image, and images without identifiers, have no origin', () => {
  assert.equal(originOf(series({}), slices('1.2.5', '1.2.5')), undefined);
  assert.equal(originOf(series({}), slices('dicomfile:0', 'dicomfile:1')), undefined);
});

test('attributes are lines of text', () => {
  assert.equal(text(['a', 'b']), 'a');
  assert.equal(text('two\nlines'), undefined);
  assert.equal(text({ Value: 1 }), undefined);
  assert.equal(text(undefined), undefined);
});
