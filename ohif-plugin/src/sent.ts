// Series that the sidecar has, so that another task need not send them again.

import type { Sent } from './send.ts';

/** More than these are forgotten, the oldest first. */
const MOST = 8;

export class SentSeries {
  private readonly sent = new Map<string, Sent>();

  /** Voxels are of one time or b-value, DICOM of the whole series. */
  get(seriesUid: string, timePoint: number | undefined): Sent | undefined {
    const whole = this.sent.get(seriesUid);
    if (timePoint === undefined || (whole && whole.way !== 'voxels')) return whole;
    return this.sent.get(`${seriesUid}#${timePoint}`);
  }

  remember(seriesUid: string, timePoint: number | undefined, sent: Sent): void {
    const isPart = sent.way === 'voxels' && timePoint !== undefined;
    const key = isPart ? `${seriesUid}#${timePoint}` : seriesUid;
    this.sent.delete(key);
    this.sent.set(key, sent);
    const [oldest] = this.sent.keys();
    if (this.sent.size > MOST && oldest) this.sent.delete(oldest);
  }

  /** A volume of a series. */
  find(seriesUid: string, volume: string): Sent | undefined {
    return [...this.sent].find(([key, sent]) => sent.volume === volume && key.startsWith(seriesUid))?.[1];
  }
}
