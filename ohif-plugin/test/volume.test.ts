// Voxels from the viewer's cache: only an image's own.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Slice } from '../src/geometry.ts';
import type { CachedImage, Host, ImagePlane } from '../src/host.ts';
import { areCached, readVoxels } from '../src/volume.ts';

const slices = [0, 1, 2].map((k): Slice => {
  const plane: ImagePlane = {
    rows: 1,
    columns: 2,
    imagePositionPatient: [0, 0, 5 * k],
    rowCosines: [1, 0, 0],
    columnCosines: [0, 1, 0],
    rowPixelSpacing: 1,
    columnPixelSpacing: 1,
  };
  return { imageId: `image-${k}`, source: `1.${k}`, plane };
});

const image = (k: number, imageQualityStatus?: number): CachedImage => ({
  imageId: `image-${k}`,
  ...(imageQualityStatus && { imageQualityStatus }),
  voxelManager: { getScalarData: () => Int16Array.of(10 * k, 10 * k + 1) },
});

test('a neighbour that stands in while the viewer loads is not sent', async () => {
  // What Cornerstone's interleaved loading does: image 1 is there with the pixels of image 0, and less than whole.
  const cached = new Map(
    [image(0), { ...image(0, 3), imageId: 'image-1' }, image(2, 8)].map(i => [i.imageId, i]),
  );
  const volume = {
    volumeId: 'volume',
    imageIds: slices.map(({ imageId }) => imageId),
    loadStatus: { loaded: false },
    load: () =>
      setTimeout(() => {
        cached.set('image-1', image(1, 8));
        volume.loadStatus.loaded = true;
      }, 20),
  };
  const cornerstone = {
    cache: { getImage: (id: string) => cached.get(id), getVolume: () => undefined },
    volumeLoader: { createAndCacheVolume: async () => volume },
  };
  const host = { libraries: () => ({ cornerstone }) } as unknown as Host;

  assert.equal(areCached(host, slices), false);
  const read = await readVoxels(host, slices, 'volume', 'MR', new AbortController().signal, () => {});
  const bytes: ArrayBuffer[] = [];
  for await (const part of read.parts) bytes.push(await part.arrayBuffer());
  assert.equal(bytes.length, 1);
  assert.deepEqual([...new Int16Array(bytes[0] as ArrayBuffer)], [0, 1, 10, 11, 20, 21]);
  assert.equal(areCached(host, slices), true);
});

test('a stand-in that stays is an error', async () => {
  const cached = new Map(
    slices.map(({ imageId }, k) => [imageId, { ...image(k, k === 1 ? 3 : 8), imageId }]),
  );
  const volume = { volumeId: 'volume', imageIds: [], loadStatus: { loaded: true }, load: () => {} };
  const cornerstone = { cache: { getImage: (id: string) => cached.get(id), getVolume: () => volume } };
  const host = { libraries: () => ({ cornerstone }) } as unknown as Host;
  const reading = readVoxels(host, slices, 'volume', 'MR', new AbortController().signal, () => {});
  await assert.rejects(reading, /Try again/);
});
