// Calls of the node's API.

import { el } from './dom.js';
import { known, language, t } from './text.js';

// How long an answer to a question may take, in ms. What changes something may take as long as it needs: mining does.
const PATIENCE = 8_000;

const PREFIX = 'urn:blockbard:problem:';

// What the node said when it refused.
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail ?? body.message ?? `HTTP ${status}`);
    this.status = status;
    this.kind = String(body.type ?? '').replace(PREFIX, '');
  }
}

let token = null;

export function setToken(value) {
  token = value === '' ? null : value;
}

async function call(method, path, body) {
  const headers = {};
  if (body !== undefined) headers['content-type'] = 'application/json';
  if (token !== null && method !== 'GET') headers.authorization = `Bearer ${token}`;
  const signal = method === 'GET' ? AbortSignal.timeout(PATIENCE) : undefined;
  const answer = await fetch(path, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  if (answer.ok) return answer;
  throw new Problem(answer.status, await answer.json().catch(() => ({})));
}

export async function get(path) {
  return (await call('GET', path)).json();
}

export async function getBytes(path) {
  return new Uint8Array(await (await call('GET', path)).arrayBuffer());
}

// Changes something. Where the node wants a token, the person is asked for it.
export async function send(method, path, body) {
  for (;;) {
    try {
      const answer = await call(method, path, body);
      return answer.status === 204 ? null : await answer.json();
    } catch (error) {
      if (error.kind !== 'token-missing' && error.kind !== 'token-wrong') throw error;
      const given = await askForToken(error.kind === 'token-wrong');
      if (given === null) throw error;
      setToken(given);
    }
  }
}

// The token that a person types; null where they would rather not. It is kept until the page is left, nowhere else.
export function askForToken(wasWrong) {
  const input = el('input', { type: 'password', id: 'token', autocomplete: 'off', required: true });
  const dialog = el(
    'dialog',
    { 'aria-labelledby': 'token-title' },
    el(
      'form',
      { method: 'dialog' },
      el('h2', { id: 'token-title' }, t('token.title')),
      el('p', {}, t(wasWrong ? 'token.wrong' : 'token.why')),
      el('label', { for: 'token' }, t('token.label')),
      input,
      el(
        'div.row',
        {},
        el('button', { value: 'ok' }, t('token.use')),
        el('button.plain', { value: 'no', formnovalidate: true }, t('token.cancel')),
      ),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((done) => {
    dialog.addEventListener('close', () => {
      dialog.remove();
      done(dialog.returnValue === 'ok' ? input.value.trim() : null);
    });
  });
}

// What went wrong, in plain words; beneath, what the node says of it, which is English.
export function explain(error) {
  if (!(error instanceof Problem)) {
    return el('p.bad', {}, t(error instanceof TypeError || error.name === 'TimeoutError' ? 'problem.gone' : 'problem.page'));
  }
  const what = known(`problem.${error.kind}`) ? t(`problem.${error.kind}`) : t('problem.other');
  const isEnglish = language === 'en';
  return el(
    'div.bad',
    {},
    el('p', {}, el('strong', {}, what)),
    !isEnglish && el('p.note', {}, t('problem.said')),
    el('p', isEnglish ? {} : { lang: 'en' }, error.message),
  );
}
