// The voxels of a series as the viewer holds them: already scaled (Hounsfield units for CT), slice by slice from the
// viewer's cache, so that nothing is held twice.

import { type Grid, gridOf, type Slice } from './geometry.ts';
import type { CachedImage, CachedVolume, Cornerstone, Host, Samples } from './host.ts';

/** What the sidecar is told before the voxels. */
export interface VolumeHeader {
  dims: [number, number, number];
  dtype: string;
  space: 'LPS';
  ijk_to_world: number[];
  modality: string;
}

/** Cornerstone's `ImageQualityStatus.FULL_RESOLUTION`. Less is a stand-in: while a volume loads, its neighbour's pixels. */
const WHOLE = 8;

/** Slices put together before they are sent. */
const BLOB_BYTES = 16 << 20;

const DTYPES: Record<string, string> = {
  Int8Array: 'int8',
  Uint8Array: 'uint8',
  Int16Array: 'int16',
  Uint16Array: 'uint16',
  Int32Array: 'int32',
  Uint32Array: 'uint32',
  Float32Array: 'float32',
};

/** Loads what is not there yet, and gives the header and the voxels in pieces. */
export async function readVoxels(
  host: Host,
  slices: readonly Slice[],
  volumeId: string,
  modality: string,
  signal: AbortSignal,
  report: (fraction: number) => void,
): Promise<{ header: VolumeHeader; bytes: number; parts: AsyncGenerator<Blob> }> {
  const grid = gridOf(slices);
  const { cornerstone } = host.libraries();
  const ids = slices.map(slice => slice.imageId);
  await load(cornerstone, volumeId, ids, signal, report);
  const images = ids.map(id => {
    const image = wholeImage(cornerstone, id);
    if (!image) throw new Error('The viewer has dropped images of this series from its memory. Try again.');
    return image;
  });
  const { dtype, width, samples } = representation(images);
  return {
    header: { dims: grid.dims, dtype, space: 'LPS', ijk_to_world: grid.ijkToWorld, modality },
    bytes: voxelCount(grid) * width,
    parts: blobs(images, samples),
  };
}

/** Whether the viewer has all slices in its memory. */
export function areCached(host: Host, slices: readonly Slice[]): boolean {
  const { cornerstone } = host.libraries();
  return slices.every(({ imageId }) => wholeImage(cornerstone, imageId) !== undefined);
}

/** The image with its own pixels, once they are there. */
function wholeImage({ cache }: Cornerstone, id: string): CachedImage | undefined {
  const image = cache.getImage(id);
  return (image?.imageQualityStatus || WHOLE) < WHOLE ? undefined : image;
}

const voxelCount = ({ dims: [i, j, k] }: Grid): number => i * j * k;

/** Waits for all voxels of a volume. The viewer shares it with its own panes. */
async function load(
  cornerstone: Cornerstone,
  volumeId: string,
  imageIds: string[],
  signal: AbortSignal,
  report: (fraction: number) => void,
): Promise<void> {
  const { cache, volumeLoader } = cornerstone;
  const isHere = (id: string): boolean => wholeImage(cornerstone, id) !== undefined;
  if (imageIds.every(isHere)) return;
  const volume: CachedVolume =
    cache.getVolume(volumeId) ?? (await volumeLoader.createAndCacheVolume(volumeId, { imageIds }));
  volume.load();
  // `load` does not call back for slices that were here before, so it is asked rather than listened to.
  while (!volume.loadStatus?.loaded) {
    signal.throwIfAborted();
    report(imageIds.filter(isHere).length / imageIds.length);
    await new Promise(resolve => setTimeout(resolve, 100));
  }
}

/** One type of samples for all slices: theirs where they agree, else floats. */
function representation(images: readonly CachedImage[]): {
  dtype: string;
  width: number;
  samples: (image: CachedImage) => Samples;
} {
  const first = images[0]?.voxelManager.getScalarData();
  const name = first?.constructor.name ?? '';
  const agree = images.every(
    image => isScaled(image) && image.voxelManager.getScalarData().constructor.name === name,
  );
  const dtype = DTYPES[name];
  if (agree && dtype && first) {
    return { dtype, width: first.BYTES_PER_ELEMENT, samples: image => image.voxelManager.getScalarData() };
  }
  const scaled = (image: CachedImage): Float32Array => {
    const stored = image.voxelManager.getScalarData();
    const [slope, intercept] = isScaled(image) ? [1, 0] : [image.slope ?? 1, image.intercept ?? 0];
    return Float32Array.from(stored as ArrayLike<number>, value => slope * value + intercept);
  };
  return { dtype: 'float32', width: 4, samples: scaled };
}

/** Whether the viewer has applied slope and intercept, or there is nothing to apply. */
function isScaled({ preScale, slope = 1, intercept = 0 }: CachedImage): boolean {
  return preScale?.scaled === true || (slope === 1 && intercept === 0);
}

async function* blobs(
  images: readonly CachedImage[],
  samples: (image: CachedImage) => Samples,
): AsyncGenerator<Blob> {
  let slices: BlobPart[] = [];
  let bytes = 0;
  for (const image of images) {
    const slice = samples(image);
    slices.push(slice as BlobPart);
    bytes += slice.byteLength;
    if (bytes >= BLOB_BYTES) {
      yield new Blob(slices);
      [slices, bytes] = [[], 0];
    }
  }
  if (bytes) yield new Blob(slices);
}
