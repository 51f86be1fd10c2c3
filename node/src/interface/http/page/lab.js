// The laboratory: what makes forks on purpose, on chains for teaching, with the chain beside it to watch.

import { el, show } from './dom.js';
import { explain, send } from './api.js';
import { mine, mining } from './do.js';
import { ask, listen, state } from './live.js';
import { drawNetwork } from './network.js';
import { rich, t } from './text.js';
import { treeView } from './tree.js';

// What can be held back, in seconds.
const DELAYS = [0, 0.5, 1, 2, 3, 5];
// The experiments, each with how many steps it has.
const EXPERIMENTS = { split: 4, slow: 3, race: 4 };

async function set(what, trouble) {
  try {
    state.lab = await send('PUT', '/api/v1/lab', what);
    trouble.replaceChildren();
  } catch (error) {
    trouble.replaceChildren(explain(error));
  }
  ['lab', 'status', 'keys'].forEach(ask);
}

function card(key, control, now, trouble) {
  return el(
    'section.card',
    { 'aria-labelledby': `lab-${key}` },
    el('h2', { id: `lab-${key}` }, t(`lab.${key}.title`)),
    el('p.note', {}, t(`lab.${key}.note`)),
    control,
    now,
    trouble,
  );
}

// One that is on or off.
function toggle(key) {
  const button = el('button', { type: 'button', 'data-switch': key });
  const now = el('p.now', { role: 'status' });
  const trouble = el('div', { role: 'alert' });
  button.addEventListener('click', () => set({ [key]: !state.lab?.[key] }, trouble));
  const update = () => {
    const isOn = state.lab?.[key] ?? false;
    button.classList.toggle('on', isOn);
    button.textContent = t(`lab.${key}.${isOn ? 'stop' : 'start'}`);
    button.disabled = !state.lab?.teaching;
    now.textContent = t(`lab.${key}.${isOn ? 'on' : 'off'}`);
    now.className = isOn ? 'now warn' : 'now';
  };
  return { root: card(key, el('div.row', {}, button), now, trouble), update };
}

// For how long blocks and transactions are held back.
function delay() {
  const trouble = el('div', { role: 'alert' });
  const now = el('p.now', { role: 'status' });
  const choice = el(
    'select',
    { id: 'delay', change: () => set({ delay_ms: 1000 * Number(choice.value) }, trouble) },
    DELAYS.map((n) => el('option', { value: n }, n === 0 ? t('lab.delay.none') : t('lab.delay.seconds', { n }))),
  );
  const update = () => {
    const seconds = (state.lab?.delay_ms ?? 0) / 1000;
    choice.disabled = !state.lab?.teaching;
    if (document.activeElement !== choice) choice.value = DELAYS.findLast((one) => one <= seconds);
    now.textContent = t(seconds > 0 ? 'lab.delay.on' : 'lab.delay.off', { n: seconds });
    now.className = seconds > 0 ? 'now warn' : 'now';
  };
  return {
    root: card('delay', el('div.row', {}, el('label', { for: 'delay' }, t('lab.delay.label')), choice), now, trouble),
    update,
  };
}

function experiments() {
  return el(
    'section.card.experiments',
    {},
    el('h2', {}, t('lab.experiments')),
    el('p.note', {}, t('lab.teacher')),
    Object.entries(EXPERIMENTS).map(([name, steps]) =>
      el(
        'details',
        {},
        el('summary', {}, t(`lab.${name}.name`)),
        el(
          'ol',
          {},
          Array.from({ length: steps }, (_, i) => el('li', {}, t(`lab.${name}.${i + 1}`))),
        ),
      ),
    ),
  );
}

export function showView(main) {
  const closed = el('div', { role: 'status' });
  const parts = [toggle('apart'), delay(), toggle('rival')];
  const engine = mining();
  const tree = treeView();
  const picture = el('div');
  main.append(
    el('h1', { tabindex: -1 }, t('nav.lab')),
    el('p.lead', {}, t('lab.lead')),
    el(
      'div',
      {},
      closed,
      el(
        'div.switches',
        {},
        parts.map((part) => part.root),
      ),
    ),
    el('section.card', {}, el('h2', {}, t('tree.title')), tree.root, el('p.note', {}, t('tree.legend'))),
    el(
      'div.columns',
      {},
      experiments(),
      el('section.card', {}, el('h2', {}, t('network.title')), picture, el('p.note', {}, t('network.legend'))),
    ),
    el('h2', {}, t('lab.meanwhile')),
    el('div.forms', {}, mine(), engine.root),
  );
  const update = () => {
    parts.forEach((part) => part.update());
    engine.update();
    tree.update();
    drawNetwork(picture);
    show(closed, [state.lab?.teaching], () =>
      state.lab?.teaching === false
        ? el('p.card.warn.closed', {}, rich('lab.closed', { command: el('code', {}, 'bard chain new --preset class') }))
        : [],
    );
  };
  update();
  const stop = listen(update);
  return () => {
    stop();
    tree.stop();
  };
}
