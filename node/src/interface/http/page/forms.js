// Forms: what can be done, with the answer or the error in plain words below the button.

import { el } from './dom.js';
import { explain, get, Problem, send } from './api.js';
import { ask, state } from './live.js';
import { t } from './text.js';

let last = 0;

// A field: a label, an input, a hint. `read` turns what was typed into a value; undefined leaves it out.
export function field(name, { kind = 'text', hint, read = (text) => text, required = true, ...more } = {}) {
  last += 1;
  const id = `field-${last}`;
  const input = el(kind === 'area' ? 'textarea' : 'input', {
    id,
    name,
    required,
    type: kind === 'area' ? null : kind,
    autocomplete: 'off',
    'aria-describedby': hint && `${id}-hint`,
    ...more,
  });
  return {
    name,
    value: () => (input.value === '' ? undefined : read(input.value)),
    clear: () => {
      input.value = input.defaultValue;
    },
    root: el(
      'div.field',
      {},
      el('label', { for: id }, t(`field.${name}`)),
      input,
      hint && el('span.note', { id: `${id}-hint` }, hint),
    ),
  };
}

// Which of the node's keys signs: the one of that name, or else the first that has something to spend.
export function keyField(wanted) {
  const name = 'from';
  last += 1;
  const id = `field-${last}`;
  const chosen = state.keys.find((key) => key.name === wanted) ?? state.keys.find((key) => key.pending.balance > 0);
  const select = el(
    'select',
    { id, name },
    state.keys.map((key) =>
      el('option', { value: key.name, selected: key === chosen }, t('field.key', { name: key.name, n: key.pending.balance })),
    ),
  );
  return {
    name,
    value: () => select.value || undefined,
    clear: () => undefined,
    root: el('div.field', {}, el('label', { for: id }, t(`field.${name}`)), select),
  };
}

// A name or an address; the names that this node has are offered.
export function whoField(name) {
  const one = field(name, { list: `who-${last + 1}`, hint: t('field.who') });
  one.root.append(
    el(
      'datalist',
      { id: `who-${last}` },
      state.keys.map((key) => el('option', { value: key.name })),
    ),
  );
  return one;
}

// Asks for the block as of which something is shown; `changed` is called when it is another one.
export function asOf(changed) {
  let height = null;
  const told = el('div', { role: 'alert' });
  const input = el('input', {
    type: 'number',
    id: 'as-of',
    min: 0,
    step: 1,
    inputmode: 'numeric',
    input: () => {
      // What is no height yet changes nothing.
      if (!input.reportValidity()) return;
      height = input.value === '' ? null : Number(input.value);
      told.replaceChildren();
      changed();
    },
  });
  return {
    root: el('div.as-of', {}, el('div.row', {}, el('label', { for: 'as-of' }, t('asOf.label')), input), told),
    isPast: () => height !== null,
    // What a path gives, or gave then; undefined where the node refuses, which is told.
    get: async (path) => {
      try {
        const answer = await get(height === null ? path : `${path}?height=${height}`);
        told.replaceChildren();
        return answer;
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        told.replaceChildren(explain(error));
        return undefined;
      }
    },
  };
}

// A form that sends what is typed. `key` names its texts; `path` is a text or made from the values; `body` makes what is sent.
export function form({
  key,
  method = 'POST',
  path,
  fields = [],
  body = (values) => values,
  done = (answer) => t(`do.${key}.done`, answer ?? {}),
}) {
  last += 1;
  const id = `form-${last}`;
  const output = el('div.answer', { role: 'status' });
  const button = el('button', {}, t(`do.${key}.button`));
  const submit = async (event) => {
    event.preventDefault();
    const values = Object.fromEntries(fields.map((one) => [one.name, one.value()]).filter(([, value]) => value !== undefined));
    button.disabled = true;
    output.replaceChildren(el('p.note', {}, t('do.wait')));
    try {
      const answer = await send(method, typeof path === 'string' ? path : path(values), body(values));
      output.replaceChildren(el('p.good', {}, '✓ ', done(answer)));
      fields.forEach((one) => one.clear());
      ['status', 'keys', 'peers'].forEach(ask);
    } catch (error) {
      output.replaceChildren(explain(error));
    }
    button.disabled = false;
  };
  return el(
    'form.card',
    { submit, 'aria-labelledby': id, 'data-form': key },
    el('h3', { id }, t(`do.${key}.title`)),
    el('p.note', {}, t(`do.${key}.note`)),
    fields.map((one) => one.root),
    el('div.row', {}, button),
    output,
  );
}
