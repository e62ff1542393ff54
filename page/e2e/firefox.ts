import type { Browser } from "@playwright/test";

interface Session {
  send(method: string, params: unknown): Promise<unknown>;
}

/**
 * Playwright speaks to Firefox in WebDriver BiDi as its newest version has it; what Debian's doesn't
 * know of that is left out. Playwright has no public way to say so.
 */
export function speakOlder(browser: Browser): void {
  const { _connection } = browser as unknown as { _connection: { toImpl(one: Browser): { _browserSession: Session } } };
  const session = _connection.toImpl(browser)._browserSession;
  const send = session.send.bind(session);
  session.send = (method, params) =>
    method === "emulation.setMediaFeaturesOverride" ? Promise.resolve({}) : send(method, params);
}
