// The frame of the page: its head, its ways, and the view that the address names.

import { el } from './dom.js';
import { explain, get } from './api.js';
import { listen, start, state } from './live.js';
import { LANGUAGES, language, load, preferred, t, tick } from './text.js';
import { experiment } from './words.js';

// Each view with the module that shows it, and the function of that module. Those with no name of their own are not in the menu.
const VIEWS = {
  overview: () => import('./overview.js').then((module) => module.showView),
  chain: () => import('./chain.js').then((module) => module.showView),
  transactions: () => import('./transactions.js').then((module) => module.showView),
  accounts: () => import('./accounts.js').then((module) => module.showView),
  items: () => import('./items.js').then((module) => module.showView),
  records: () => import('./records.js').then((module) => module.showView),
  peers: () => import('./peers.js').then((module) => module.showView),
  do: () => import('./do.js').then((module) => module.showView),
  lab: () => import('./lab.js').then((module) => module.showView),
  words: () => import('./glossary.js').then((module) => module.showView),
  block: () => import('./block.js').then((module) => module.showView),
  tx: () => import('./transactions.js').then((module) => module.showTransaction),
  account: () => import('./accounts.js').then((module) => module.showAccount),
  item: () => import('./items.js').then((module) => module.showItem),
};
const MENU = ['overview', 'chain', 'transactions', 'accounts', 'items', 'records', 'peers', 'do', 'lab', 'words'];
// Where in the menu one is while one thing is shown.
const WITHIN = { block: 'chain', tx: 'transactions', account: 'accounts', item: 'items' };

const main = el('main', { id: 'main' });
const gone = el('div.gone', { role: 'alert' });
const lab = el('div.lab', { role: 'status' });
const mark = el('span.alive');
const nav = el('nav');
let leave = () => undefined;
let turn = 0;

function remember(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // A browser that keeps nothing forgets the choice, and no more.
  }
}

function recall(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
}

function chooser(id, label, options, value, change) {
  const select = el(
    'select',
    { id, change: () => change(select.value) },
    Object.entries(options).map(([key, text]) => el('option', { value: key, selected: key === value }, text)),
  );
  return el('span.choice', {}, el('label.hidden', { for: id }, label), select);
}

function frame() {
  const theme = document.documentElement.dataset.theme;
  const themes = { auto: t('theme.auto'), light: t('theme.light'), dark: t('theme.dark') };
  nav.setAttribute('aria-label', t('nav.label'));
  nav.replaceChildren(...MENU.map((name) => el('a', { href: `#/${name}`, 'data-view': name }, t(`nav.${name}`))));
  document.body.replaceChildren(
    el(
      'a.skip',
      {
        href: '#main',
        click: (event) => {
          event.preventDefault();
          (main.querySelector('h1') ?? main).focus();
        },
      },
      t('nav.skip'),
    ),
    el(
      'header',
      {},
      el('a.brand', { href: '#/overview' }, el('img', { src: '/page/icon.svg', alt: '', width: 28, height: 28 }), 'BlockBard'),
      mark,
      el(
        'div.choices',
        {},
        chooser('theme', t('theme.label'), themes, theme, (value) => {
          remember('theme', value);
          setTheme(value);
        }),
        chooser('language', t('language.label'), LANGUAGES, language, async (value) => {
          remember('language', value);
          await load(value);
          frame();
          render();
        }),
      ),
    ),
    nav,
    gone,
    lab,
    main,
    el(
      'footer',
      {},
      el('a', { href: '/docs' }, t('footer.api')),
      ' · ',
      el('a', { href: '/chain' }, t('footer.json')),
      ' · ',
      el('a', { href: '/metrics' }, t('footer.metrics')),
    ),
  );
  showAlive();
  lab.dataset.text = '';
  showLab();
}

function showAlive() {
  mark.className = `alive ${state.alive === false ? 'no' : state.alive ? 'yes' : ''}`;
  mark.textContent = t(state.alive === false ? 'alive.no' : state.alive ? 'alive.yes' : 'alive.asks');
  const text = state.alive === false ? t('alive.gone') : '';
  if (gone.textContent !== text) gone.textContent = text;
}

// Nobody should forget that forks are made on purpose.
function showLab() {
  const text = experiment();
  if (lab.dataset.text === text) return;
  lab.dataset.text = text;
  lab.replaceChildren(...(text === '' ? [] : [el('a', { href: '#/lab' }, text)]));
}

// The view and what it is of, as the address says.
function place() {
  let parts;
  try {
    parts = location.hash.replace(/^#\//, '').split('/').map(decodeURIComponent);
  } catch {
    parts = ['overview'];
  }
  return parts[0] in VIEWS ? parts : ['overview'];
}

async function render() {
  turn += 1;
  const mine = turn;
  leave();
  leave = () => undefined;
  const [name, ...rest] = place();
  const here = WITHIN[name] ?? name;
  for (const link of nav.children) {
    if (link.dataset.view !== here) {
      link.removeAttribute('aria-current');
      continue;
    }
    link.setAttribute('aria-current', 'page');
    // On a phone the menu is one line, which scrolls.
    nav.scrollLeft = link.offsetLeft - (nav.clientWidth - link.offsetWidth) / 2;
  }
  // It is busy until what the view cannot do without has been fetched.
  const content = el('div.view', { 'data-view': name, 'data-place': [name, ...rest].join('/'), 'aria-busy': 'true' });
  let stop;
  try {
    const view = await VIEWS[name]();
    if (mine !== turn) return;
    main.replaceChildren(content);
    stop = await view(content, rest);
  } catch (error) {
    if (mine !== turn) return;
    content.replaceChildren(
      el('h1', { tabindex: -1 }, t(`nav.${here}`)),
      el('div.card', {}, explain(error), name !== here && el('p', {}, el('a', { href: `#/${here}` }, `← ${t(`nav.${here}`)}`))),
    );
  }
  if (mine !== turn) {
    stop?.();
    return;
  }
  leave = stop ?? leave;
  content.removeAttribute('aria-busy');
  document.title = `${content.querySelector('h1')?.textContent ?? ''} - BlockBard`;
}

async function moved() {
  await render();
  scrollTo(0, 0);
  main.querySelector('h1')?.focus({ preventScroll: true });
}

async function begin() {
  setTheme(recall('theme') ?? 'auto');
  try {
    await load(preferred());
  } catch {
    await load('en');
  }
  try {
    // The first view has what it needs at once.
    const [status, keys] = await Promise.all([get('/api/v1/status'), get('/api/v1/wallet/keys')]);
    Object.assign(state, { status, keys: keys.keys, locked: keys.locked, alive: true });
  } catch {
    state.alive = false;
  }
  frame();
  await render();
  start();
  setInterval(tick, 1000);
  addEventListener('hashchange', moved);
  listen((kind, data) => {
    if (kind === 'alive') showAlive();
    if (kind === 'lab') showLab();
    // What a view has fetched may be of another run, or of another chain.
    if (kind === 'reset' || (kind === 'alive' && data && main.querySelector('.bad'))) render();
  });
}

begin();
