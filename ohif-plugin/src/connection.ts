// Whether the sidecar can be used, and if not, why, and what to do: a state with its words.

import type { Info } from './api.ts';
import { Client, Refusal, type Signer, Unreachable } from './client.ts';
import { type Configuration, USUAL_PORT } from './configuration.ts';
import { forgetPairing, loadPairing, type PairingRecord, savePairing } from './keys.ts';
import { Impostor, isForgotten, openSession, pair, readCode } from './pairing.ts';

export type State =
  | 'checking'
  | 'ready'
  | 'unpaired'
  | 'confirming'
  | 'not-running'
  | 'permission-needed'
  | 'permission-denied'
  | 'insecure'
  | 'blocked-by-policy'
  | 'impostor'
  | 'version'
  | 'refused';

export interface Status {
  state: State;
  info?: Info;
  /** More of it, in the sidecar's words. */
  detail?: string;
}

/** The permission that Chromium asks for before a public page may reach this computer. */
type Permission = 'granted' | 'denied' | 'prompt' | 'unknown';

export class Connection implements Signer {
  status: Status = { state: 'checking' };
  private sessionToken: string | undefined;
  private pairing: PairingRecord | undefined;
  private attempt = new AbortController();

  constructor(
    private readonly configuration: Configuration,
    private readonly changed: () => void,
  ) {}

  /** The sidecar, wherever it was found. */
  get client(): Client {
    return new Client(this.base, this);
  }

  /** Whether the viewer's own web server stands between, and lets users in itself. */
  get isBehindSite(): boolean {
    return this.configuration.url?.startsWith('/') ?? false;
  }

  /** Where the sidecar answers, or would. */
  get base(): string {
    return this.configuration.url ?? `http://127.0.0.1:${this.pairing?.port ?? USUAL_PORT}`;
  }

  token(): string | undefined {
    return this.sessionToken;
  }

  /** Opens a new session; false where this page is not paired any more. */
  async renew(): Promise<boolean> {
    this.sessionToken = undefined;
    if (this.isBehindSite || !this.pairing) return false;
    this.sessionToken = await openSession(this.base, this.pairing);
    return true;
  }

  /** Finds out how things are. */
  async connect(): Promise<void> {
    // A look every few seconds must not make the panel flicker.
    if (!['ready', 'not-running'].includes(this.status.state)) this.become({ state: 'checking' });
    const watch = policyWatch(this.base);
    try {
      if (!this.isBehindSite) {
        if (!globalThis.crypto?.subtle) return this.become({ state: 'insecure' });
        this.pairing = await loadPairing();
        if (!this.pairing) return this.become({ state: 'unpaired' });
        if (!this.sessionToken) await this.renew();
      }
      this.become({ state: 'ready', info: await this.client.json<Info>('/v1/info') });
    } catch (error) {
      this.become(await this.explain(error, watch));
    } finally {
      watch.end();
    }
  }

  /** Pairs with the code that the user typed. Says in words why not. */
  async pair(typed: string): Promise<string | undefined> {
    const code = readCode(typed);
    if (!code) return 'This is no pairing code. It looks like 38917-K7QF-M2XD-9TRW.';
    this.attempt.abort();
    this.attempt = new AbortController();
    const { signal } = this.attempt;
    const base = this.configuration.url ?? `http://127.0.0.1:${code.port}`;
    this.become({ state: 'confirming' });
    const watch = policyWatch(base);
    try {
      this.pairing = await pair(base, code, signal);
      await savePairing(this.pairing);
      this.sessionToken = undefined;
      await this.connect();
      return undefined;
    } catch (error) {
      if (signal.aborted) return undefined;
      const status = await this.explain(error, watch);
      const isAboutBrowser = status.state.startsWith('permission') || status.state === 'blocked-by-policy';
      this.become(isAboutBrowser ? status : { state: 'unpaired' });
      return isAboutBrowser ? undefined : sentence(error, code.port);
    } finally {
      watch.end();
    }
  }

  /** Gives up waiting for the user's consent. */
  stopPairing(): void {
    this.attempt.abort();
    this.become({ state: 'unpaired' });
  }

  /** Forgets the pairing on this side. */
  async forget(): Promise<void> {
    await forgetPairing();
    [this.pairing, this.sessionToken] = [undefined, undefined];
    this.become({ state: 'unpaired' });
  }

  /** Takes note of an error that anything met; gives the state that follows from it. */
  async met(error: unknown): Promise<Status> {
    if (
      error instanceof Unreachable ||
      (error instanceof Refusal && [401, 403, 426].includes(error.status))
    ) {
      this.become(await this.explain(error));
    }
    return this.status;
  }

  private async explain(error: unknown, watch?: PolicyWatch): Promise<Status> {
    if (error instanceof Impostor) return { state: 'impostor', detail: error.message };
    if (error instanceof Refusal) {
      if (error.status === 426) return { state: 'version', detail: `${error.message}. ${error.hint}` };
      if (isForgotten(error)) {
        this.sessionToken = undefined;
        return { state: this.isBehindSite ? 'refused' : 'unpaired', detail: error.message };
      }
      return { state: 'refused', detail: error.message };
    }
    if (!(error instanceof Unreachable)) throw error;
    this.sessionToken = undefined;
    if (await watch?.isBlocked()) return { state: 'blocked-by-policy' };
    const permission = this.isBehindSite ? 'granted' : await loopbackPermission();
    if (permission === 'denied') return { state: 'permission-denied' };
    if (permission === 'prompt' && !isLocalPage()) return { state: 'permission-needed' };
    return { state: 'not-running' };
  }

  private become(status: Status): void {
    this.status = status;
    this.changed();
  }
}

/** Pages from this computer need no permission to reach it. */
function isLocalPage(): boolean {
  return ['127.0.0.1', 'localhost', '[::1]'].includes(location.hostname);
}

/** Under either of the names that Chromium has given it; other browsers know neither. */
async function loopbackPermission(): Promise<Permission> {
  for (const name of ['loopback-network', 'local-network-access']) {
    try {
      return (await navigator.permissions.query({ name: name as PermissionName })).state;
    } catch {
      // Another name, or another browser.
    }
  }
  return 'unknown';
}

interface PolicyWatch {
  isBlocked(): Promise<boolean>;
  end(): void;
}

/** Listens for the page's own content security policy: the error of the request does not tell. */
function policyWatch(base: string): PolicyWatch {
  let isBlocked = false;
  const listen = (event: SecurityPolicyViolationEvent): void => {
    if (event.blockedURI.startsWith(base)) isBlocked = true;
  };
  document.addEventListener('securitypolicyviolation', listen);
  return {
    // The event comes a turn after the request has failed.
    isBlocked: () => new Promise(resolve => setTimeout(() => resolve(isBlocked), 50)),
    end: () => document.removeEventListener('securitypolicyviolation', listen),
  };
}

/** Why a pairing came to nothing, for the user. */
function sentence(error: unknown, port: number): string {
  if (error instanceof Unreachable) {
    return `Nobody answers at port ${port}. Does \`vesalius pair\` still wait? A code is good for two minutes.`;
  }
  if (error instanceof Impostor) return `Not paired: ${error.message}. Ask for a new code.`;
  if (error instanceof Refusal) return [error.message, error.hint].filter(Boolean).map(asSentence).join(' ');
  return String(error);
}

/** As a sentence: the sidecar speaks in fragments. */
export function asSentence(text: string): string {
  const trimmed = text.trim();
  if (!trimmed) return '';
  const start = trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return /[.!?]$/.test(start) ? start : `${start}.`;
}
