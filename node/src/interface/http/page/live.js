// What the node is doing, kept up to date: events as they happen, and a look now and then at what no event tells.

import { get } from './api.js';

const KINDS = ['block', 'reorg', 'transaction', 'peer', 'mining', 'sync', 'lab'];
// How often the node is asked for what no event tells, and how often while it does not answer, in ms.
const LOOK = 2_000;
const LOOK_WHILE_GONE = 700;
// Answers to one question are at least so far apart, in ms, however many events come.
const APART = 250;
// By when peers have said that they have a new block too, in ms.
const SAID = 600;
// How many pieces of news are kept; the oldest go.
const NEWS = 60;
// Blocks that are news when the page is opened.
const RECENT = 6;
// How far below the tip the tree of known blocks reaches.
const DEPTH = 40;

export const state = {
  node: null,
  status: null,
  peers: [],
  // The last peers that left, and who is banned.
  departed: [],
  bans: [],
  forks: [],
  keys: [],
  locked: false,
  // What of the laboratory is switched on.
  lab: null,
  news: [],
  reorg: null,
  // null until the first answer; then whether the node answers.
  alive: null,
};

const listeners = new Set();

// Calls `heard(kind, data)` when an answer has come, and when events have: `data` is then the list of what they tell. It does so
// until the function that is returned is called.
export function listen(heard) {
  listeners.add(heard);
  return () => listeners.delete(heard);
}

function tell(kind, data) {
  for (const heard of [...listeners]) heard(kind, data);
}

const QUESTIONS = {
  status: async () => {
    state.status = await get('/api/v1/status');
  },
  peers: async () => {
    const { peers, departed } = await get('/api/v1/peers');
    Object.assign(state, { peers, departed });
  },
  bans: async () => {
    state.bans = (await get('/api/v1/bans')).bans;
  },
  forks: async () => {
    state.forks = (await get(`/api/v1/forks?depth=${DEPTH}`)).blocks;
  },
  node: async () => {
    state.node = await get('/api/v1/node');
  },
  lab: async () => {
    state.lab = await get('/api/v1/lab');
  },
  keys: async () => {
    const answer = await get('/api/v1/wallet/keys');
    Object.assign(state, { keys: answer.keys, locked: answer.locked });
  },
};

// Of each question when it was last asked, whether it is wanted and not asked yet, and whether its answer is on its way.
const asked = new Map(Object.keys(QUESTIONS).map((name) => [name, { at: 0, isWanted: false, isOpen: false }]));

// Asks a question, unless it was asked a moment ago: then a moment later, once. What is wanted while an answer is on its way is asked
// after it, so that no older answer comes after a newer one.
export function ask(name) {
  const one = asked.get(name);
  if (one.isWanted) return;
  one.isWanted = true;
  if (!one.isOpen) later(name, one);
}

function later(name, one) {
  setTimeout(() => pose(name, one), Math.max(0, one.at + APART - performance.now()));
}

async function pose(name, one) {
  Object.assign(one, { at: performance.now(), isWanted: false, isOpen: true });
  try {
    await QUESTIONS[name]();
    if (name === 'status') setAlive(true);
    tell(name);
  } catch (error) {
    // An answer that refuses is an answer: the node is there.
    if (error.status === undefined) setAlive(false);
  }
  one.isOpen = false;
  if (one.isWanted) later(name, one);
}

function setAlive(alive) {
  if (state.alive === alive) return;
  const was = state.alive;
  state.alive = alive;
  if (alive && was === false) resume();
  tell('alive', alive);
}

export function askAll() {
  for (const name of Object.keys(QUESTIONS)) ask(name);
}

let stream = null;
let lastId = null;

function follow() {
  stream?.close();
  stream = new EventSource(`/api/v1/events${lastId === null ? '' : `?last_event_id=${encodeURIComponent(lastId)}`}`);
  for (const kind of KINDS) {
    stream.addEventListener(kind, (event) => {
      lastId = event.lastEventId;
      happened(kind, JSON.parse(event.data));
    });
  }
  stream.addEventListener('reset', (event) => {
    // From here on, and not from the place that the node no longer knows.
    lastId = event.lastEventId;
    askAll();
    tell('reset');
  });
  // Also while the browser tries again by itself: whether the node is there, the next question finds.
  stream.addEventListener('error', () => ask('status'));
}

// Goes on where the events ended. Where none had come yet there is no such place: anything may have happened since, as after a
// reorganisation from the first block on. The views look again, and what somebody types in one stays.
function resume() {
  askAll();
  follow();
  if (lastId === null) tell('reorg', [{ outcome: 'adopted', fork_height: 0 }]);
}

// Events of so many ms are told of together: a node that catches up has a thousand a second.
const GATHERED = 60;
const gathered = new Map();

function gather(kind, data) {
  if (gathered.size === 0) {
    setTimeout(() => {
      const all = [...gathered];
      gathered.clear();
      tell('news');
      for (const [one, list] of all) tell(one, list);
    }, GATHERED);
  }
  if (!gathered.has(kind)) gathered.set(kind, []);
  gathered.get(kind).push(data);
}

let mines = null;

function happened(kind, data) {
  if (kind === 'block' || kind === 'reorg') {
    ['status', 'forks', 'peers'].forEach(ask);
    setTimeout(() => ['status', 'peers'].forEach(ask), SAID);
  }
  if (kind === 'peer') ['status', 'peers', 'bans'].forEach(ask);
  else ask('status');
  if (kind === 'reorg') state.reorg = data;
  if (kind === 'lab') state.lab = { ...state.lab, ...data };
  // A miner also tells of each of its blocks, which is news already.
  const isNews =
    kind === 'mining'
      ? mines !== data.enabled && (mines !== null || data.enabled)
      : !(kind === 'sync' && data.state === 'progress');
  if (kind === 'mining') mines = data.enabled;
  if (isNews) {
    state.news.unshift({ kind, data, at: new Date().toISOString() });
    state.news.length = Math.min(state.news.length, NEWS);
  }
  gather(kind, data);
}

// The newest blocks are the first news, so that a page that was just opened is not empty.
async function recent() {
  const { blocks } = await get(`/api/v1/blocks?order=desc&limit=${RECENT}`);
  const told = new Set(state.news.map(({ data }) => data.hash));
  const fresh = blocks.filter((block) => block.height > 0 && !told.has(block.hash));
  state.news.push(
    ...fresh.map((block) => ({
      kind: 'block',
      data: { ...block, transactions: block.transactions.length },
      at: block.timestamp,
    })),
  );
  tell('news');
}

// What does `work`, but never twice at once: called meanwhile, it does it once more afterwards. So what a view fetches is never
// overtaken by an older answer.
export function inTurn(work) {
  let isBusy = false;
  let isWanted = false;
  return async () => {
    isWanted = true;
    if (isBusy) return;
    isBusy = true;
    try {
      while (isWanted) {
        isWanted = false;
        await work();
      }
    } finally {
      isBusy = false;
    }
  };
}

// The name that this node has for an address; undefined where it has none.
export function nameOf(address) {
  return state.keys.find((key) => key.address === address)?.name;
}

let looks = 0;

function look() {
  if (!document.hidden) {
    looks += 1;
    ask('status');
    if (state.alive !== false) {
      ask('peers');
      ask('forks');
      if (looks % 5 === 0) ['keys', 'node', 'bans'].forEach(ask);
    }
    if (stream?.readyState === EventSource.CLOSED && state.alive) follow();
  }
  setTimeout(look, state.alive === false ? LOOK_WHILE_GONE : LOOK);
}

// Begins. A page that nobody sees does not hold a connection: browsers open only six to one node.
export function start() {
  askAll();
  follow();
  // Without them, what happens next is the first news.
  recent().catch(() => undefined);
  setTimeout(look, LOOK);
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) stream?.close();
    else resume();
  });
}
