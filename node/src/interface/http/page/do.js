// What can be done: the steps of a first lesson, in their order, and the rest.

import { blockLink, el, show, transactionLink } from './dom.js';
import { askForToken, explain, send, setToken } from './api.js';
import { field, form, keyField, whoField } from './forms.js';
import { ask, listen, state } from './live.js';
import { itemLink } from './words.js';
import { rate, rich, t } from './text.js';

const whole = (text) => Number(text);

function amount(name, more) {
  return field(name, { kind: 'number', min: 0, step: 1, inputmode: 'numeric', read: whole, ...more });
}

export function register() {
  return form({
    key: 'register',
    path: '/api/v1/peers',
    fields: [field('address', { hint: t('field.address.hint'), placeholder: 'http://192.168.1.7:5000' })],
  });
}

function pay() {
  return form({
    key: 'pay',
    path: '/api/v1/wallet/transfer',
    fields: [keyField(), whoField('to'), amount('amount', { min: 1, value: 10 }), amount('fee', { value: 0 })],
    done: (answer) => rich('do.pay.done', { id: transactionLink(answer.id) }),
  });
}

export function mine() {
  return form({
    key: 'mine',
    path: '/api/v1/mine',
    fields: [amount('blocks', { min: 1, max: 100, value: 1 }), field('data', { required: false })],
    done: ({ blocks }) =>
      rich('do.mine.done', { n: blocks.length, block: blockLink(blocks.at(-1).hash, String(blocks.at(-1).height)) }),
  });
}

function consensus() {
  return form({
    key: 'sync',
    path: '/api/v1/sync',
    body: () => ({}),
    done: ({ asked, answered, accepted, height, problems }) => [
      t('do.sync.asked', { n: asked, answered }),
      ' ',
      t('do.sync.accepted', { n: accepted, height }),
      ' ',
      problems.join('; '),
    ],
  });
}

function record() {
  return form({
    key: 'record',
    path: '/api/v1/wallet/record',
    fields: [keyField(), field('text', { kind: 'area', rows: 3 })],
    done: (answer) => rich('do.record.done', { id: transactionLink(answer.id) }),
  });
}

function item(key, more = []) {
  return form({
    key,
    path: ({ item: name }) => `/api/v1/wallet/items/${encodeURIComponent(name)}/${key === 'hand' ? 'transfer' : key}`,
    fields: [keyField(), field('item', { maxlength: 64 }), ...more],
    body: ({ item: _, ...values }) => values,
    done: (answer) => rich(`do.${key}.done`, { item: itemLink(answer.action.item) }),
  });
}

function newKey() {
  return form({
    key: 'key',
    path: '/api/v1/wallet/keys',
    fields: [field('name', { pattern: '[A-Za-z0-9_\\-]{1,32}', hint: t('field.name.hint') })],
  });
}

function verify() {
  return form({
    key: 'verify',
    path: '/api/v1/verify',
    body: () => ({}),
    done: (answer) => (answer.valid ? t('do.verify.done', { height: answer.height, n: answer.transactions }) : answer.problem),
  });
}

// Mining without end: on or off, and on how many threads.
export function mining() {
  const most = Math.max(1, navigator.hardwareConcurrency ?? 1);
  const slider = el('input', {
    type: 'range',
    id: 'threads',
    min: 1,
    max: most,
    value: Math.min(most, state.status?.mining.threads ?? 1),
    'aria-describedby': 'mining-now',
  });
  const told = el('output', { for: 'threads' });
  const now = el('p.note', { id: 'mining-now', role: 'status' });
  const trouble = el('div', { role: 'alert' });
  // Its text says what it does, so it is no switch, whose name stays the same.
  const toggle = el('button', { type: 'button', 'data-switch': 'mining' });
  const isOn = () => state.status?.mining.enabled ?? false;
  const set = async (enabled) => {
    try {
      await send('PUT', '/api/v1/mining', { enabled, threads: Number(slider.value) });
      trouble.replaceChildren();
    } catch (error) {
      trouble.replaceChildren(explain(error));
    }
    ask('status');
  };
  const update = () => {
    told.textContent = t('mining.threads', { n: Number(slider.value) });
    toggle.classList.toggle('on', isOn());
    toggle.textContent = t(isOn() ? 'mining.stop' : 'mining.start');
    const { status } = state;
    show(now, [isOn(), status?.hash_rate, status?.mining.mined], () =>
      t(isOn() ? 'mining.on' : 'mining.off', { rate: rate(status?.hash_rate ?? 0), n: status?.mining.mined ?? 0 }),
    );
  };
  toggle.addEventListener('click', () => set(!isOn()));
  slider.addEventListener('input', update);
  slider.addEventListener('change', () => {
    if (isOn()) set(true);
  });
  update();
  return {
    root: el(
      'section.card',
      { 'aria-labelledby': 'mining-title' },
      el('h3', { id: 'mining-title' }, t('mining.title')),
      el('p.note', {}, t('mining.note')),
      el('div.field', {}, el('label', { for: 'threads' }, t('mining.label')), el('div.row', {}, slider, told)),
      el('div.row', {}, toggle),
      now,
      trouble,
    ),
    update,
  };
}

// The passphrase of the keys, where they are locked; the token, where one is needed.
function access() {
  const unlock = form({
    key: 'unlock',
    path: '/api/v1/wallet/unlock',
    fields: [field('passphrase', { kind: 'password' })],
    done: () => {
      ask('keys');
      return t('do.unlock.done');
    },
  });
  const told = el('p.note', { role: 'status' });
  const token = el(
    'section.card',
    {},
    el('h3', {}, t('token.title')),
    el('p.note', {}, t('token.note')),
    el(
      'button.plain',
      {
        type: 'button',
        click: async () => {
          const given = await askForToken(false);
          if (given === null) return;
          setToken(given);
          told.textContent = t('token.kept');
        },
      },
      t('token.enter'),
    ),
    told,
  );
  return [state.locked && unlock, token];
}

export function showView(main) {
  const steps = el('div.forms.steps');
  const more = el('div.forms');
  const engine = mining();
  main.append(
    el('h1', { tabindex: -1 }, t('nav.do')),
    el('p.lead', {}, t('do.lead')),
    el('h2', {}, t('do.steps')),
    steps,
    el('p', {}, rich('do.then', { chain: el('a', { href: '#/chain' }, t('nav.chain')) })),
    el('h2', {}, t('do.more')),
    more,
  );
  let names = null;
  const update = () => {
    engine.update();
    // The forms offer the names of the keys, so they wait for them; what is being typed is left alone.
    const now = JSON.stringify([state.keys.map((key) => key.name), state.locked]);
    const isBusy = document.activeElement?.closest('form') !== null && document.activeElement?.closest('form') !== undefined;
    if (now === names || (names !== null && isBusy)) return;
    names = now;
    steps.replaceChildren(register(), pay(), mine(), consensus());
    more.replaceChildren(
      ...[
        engine.root,
        record(),
        item('request'),
        item('release'),
        item('hand', [whoField('to')]),
        newKey(),
        verify(),
        ...access(),
      ].filter(Boolean),
    );
  };
  update();
  return listen(update);
}
