// Records: a file's digest, worked out here, put on record or found there; and what was recorded lately.

import { blockLink, el, stranger, table, transactionLink } from './dom.js';
import { explain, get } from './api.js';
import { hex, Sha256 } from './hash.js';
import { form, keyField } from './forms.js';
import { pages } from './list.js';
import { listen, state } from './live.js';
import { moment, number, rich, t } from './text.js';
import { who } from './words.js';

const PAGE = 30;
// How much of a content type is shown in the list, in characters.
const KIND = 24;
// A file is read in pieces of so many bytes.
const PIECE = 1 << 20;
// Records of the pool that are looked through.
const POOL = 1_000;

async function digest(file, progress) {
  const hash = new Sha256();
  for (let at = 0; at < file.size; at += PIECE) {
    hash.update(new Uint8Array(await file.slice(at, at + PIECE).arrayBuffer()));
    progress.value = file.size === 0 ? 1 : Math.min(1, (at + PIECE) / file.size);
    // The page goes on answering meanwhile.
    await new Promise((done) => setTimeout(done));
  }
  return hex(hash.digest());
}

// Where a digest is on record: mined, or waiting in the pool; null where it is not.
async function find(sum) {
  const { transactions } = await get(`/api/v1/records?digest=${sum}&limit=1`);
  if (transactions.length > 0) return transactions[0];
  const pool = await get(`/api/v1/pool?limit=${POOL}`);
  const waits = pool.transactions.find(
    ({ action }) => action.type === 'record' && (action.text?.trim() === sum || action.hex === sum),
  );
  return waits === undefined ? null : { ...waits, block: null };
}

async function mined(one) {
  const block = await get(`/api/v1/blocks/${one.block.hash}/header`);
  return el(
    'div.verified',
    {},
    el('p.good.verdict', {}, `✓ ${t('records.verified')}`),
    el(
      'p',
      {},
      rich('records.since', {
        time: moment(block.timestamp),
        block: blockLink(one.block.hash, String(one.block.height)),
        who: who(one.sender),
        n: (state.status?.height ?? one.block.height) - one.block.height + 1,
      }),
    ),
    el('p.note', {}, transactionLink(one.id)),
  );
}

async function judge(sum, result) {
  const one = await find(sum);
  if (one === null) {
    result.replaceChildren(
      el('p.verdict', {}, t('records.unknown')),
      form({
        key: 'notarise',
        path: '/api/v1/wallet/record',
        fields: [keyField()],
        body: ({ from }) => ({ from, text: sum }),
        done: (answer) => rich('do.notarise.done', { id: transactionLink(answer.id) }),
      }),
    );
  } else {
    result.replaceChildren(
      one.block === null ? el('p.verdict', {}, rich('records.waits', { id: transactionLink(one.id) })) : await mined(one),
    );
  }
}

function drop() {
  const result = el('div', { role: 'status' });
  const told = el('div');
  const input = el('input', { type: 'file', id: 'file', change: () => take(input.files[0]) });
  const take = async (file) => {
    if (file === undefined) return;
    const progress = el('progress', { max: 1, value: 0, 'aria-label': t('records.reading') });
    told.replaceChildren(progress);
    result.replaceChildren();
    try {
      const sum = await digest(file, progress);
      told.replaceChildren(
        el('p', {}, rich('records.digest', { file: stranger(file.name), n: file.size })),
        el('code.long.digest', {}, sum),
      );
      await judge(sum, result);
    } catch (error) {
      told.replaceChildren(error instanceof DOMException ? el('p.bad', {}, t('records.unreadable')) : explain(error));
    }
    input.value = '';
  };
  const zone = el(
    'div.drop',
    {
      dragover: (event) => {
        event.preventDefault();
        zone.classList.add('over');
      },
      dragleave: () => zone.classList.remove('over'),
      drop: (event) => {
        event.preventDefault();
        zone.classList.remove('over');
        take(event.dataTransfer.files[0]);
      },
    },
    el('label', { for: 'file' }, t('records.drop')),
    input,
  );
  return [zone, told, result];
}

// A file and its receipt, and what the one shows of the other.
function against() {
  const result = el('div', { role: 'status' });
  const inputs = ['file', 'receipt'].map((name) => el('input', { type: 'file', id: `check-${name}`, name, required: true }));
  const button = el('button', {}, t('receipt.check'));
  const submit = async (event) => {
    event.preventDefault();
    const [file, receipt] = inputs.map((input) => input.files[0]);
    const progress = el('progress', { max: 1, value: 0, 'aria-label': t('records.reading') });
    result.replaceChildren(progress);
    button.disabled = true;
    try {
      const { judge: judgeReceipt } = await import('./receipt.js');
      result.replaceChildren(...[await judgeReceipt(receipt, file, await digest(file, progress))].flat().filter(Boolean));
    } catch (error) {
      result.replaceChildren(error instanceof DOMException ? el('p.bad', {}, t('records.unreadable')) : explain(error));
    }
    button.disabled = false;
  };
  return el(
    'form.check',
    { submit, 'aria-labelledby': 'check-title' },
    inputs.map((input) =>
      el('div.field', {}, el('label', { for: input.id }, t(input.name === 'file' ? 'receipt.file' : 'receipt.receipt')), input),
    ),
    el('div.row', {}, button),
    result,
  );
}

export function showView(main) {
  const list = pages((from) => `/api/v1/records?limit=${PAGE}${from === null ? '' : `&from=${from}`}`, {
    rows: (answer) => answer.transactions,
    table: (all) =>
      all.length === 0
        ? el('p', {}, t('records.none'))
        : table(
            t('records.title'),
            [t('list.height'), t('records.by'), t('records.kind'), t('records.content')],
            all.map((one) => [
              blockLink(one.block.hash, number(one.block.height)),
              who(one.sender),
              el('span.short', {}, stranger(one.action.content_type, KIND)),
              el('a.record', { href: `#/tx/${one.id}` }, stranger(one.action.text ?? one.action.hex, 160)),
            ]),
            3,
          ),
  });
  main.append(
    el('h1', { tabindex: -1 }, t('nav.records')),
    el('p.lead', {}, t('records.lead')),
    el(
      'div.columns',
      {},
      el('section.card', {}, el('h2', {}, t('records.file')), el('p.note', {}, t('records.how')), drop()),
      el(
        'section.card',
        {},
        el('h2', { id: 'check-title' }, t('receipt.title')),
        el('p.note', {}, t('receipt.how')),
        against(),
      ),
    ),
    el('section.card', {}, el('h2', {}, t('records.title')), list.root),
  );
  list.refresh();
  return listen((kind) => {
    if (kind === 'block' || kind === 'reorg' || kind === 'keys') list.refresh();
  });
}
