// What the page says, in the language of whoever reads it: texts from a message file, numbers and times as they are written there.

import { el } from './dom.js';

export const LANGUAGES = { en: 'English', de: 'Deutsch' };

// How times and numbers are written in each.
const LOCALES = { en: 'en-GB', de: 'de' };

let messages = {};
let rules = new Intl.PluralRules('en');
let numbers = new Intl.NumberFormat('en');
export let language = 'en';

function stored(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

// The language that was chosen, or that the browser asks for, or English.
export function preferred() {
  const wanted = [stored('language'), ...navigator.languages].filter(Boolean).map((one) => one.slice(0, 2));
  return wanted.find((one) => one in LANGUAGES) ?? 'en';
}

export async function load(wanted) {
  const answer = await fetch(`/page/${wanted}.json`);
  if (!answer.ok) throw new Error(`no messages in ${wanted}`);
  messages = await answer.json();
  language = wanted;
  rules = new Intl.PluralRules(wanted);
  numbers = new Intl.NumberFormat(LOCALES[wanted], { maximumFractionDigits: 1 });
  document.documentElement.lang = wanted;
}

export function known(key) {
  return key in messages;
}

function pattern(key, values) {
  const found = messages[key] ?? key;
  return typeof found === 'string' ? found : (found[rules.select(Number(values.n))] ?? found.other);
}

// The text of a key, with numbers and texts in the places that it has for them. Where there are several by number, `n` decides.
export function t(key, values = {}) {
  return pattern(key, values).replace(/\{(\w+)\}/g, (_, name) => {
    const value = values[name];
    return typeof value === 'number' ? numbers.format(value) : String(value);
  });
}

// The same with elements in the places.
export function rich(key, values = {}) {
  return pattern(key, values)
    .split(/(\{\w+\})/)
    .map((part) => {
      const name = /^\{(\w+)\}$/.exec(part)?.[1];
      if (name === undefined) return part;
      const value = values[name];
      return typeof value === 'number' ? numbers.format(value) : value;
    });
}

export function number(value) {
  return numbers.format(value);
}

// A text of digits, however many, as it is read best.
export function big(digits) {
  return numbers.format(BigInt(digits));
}

const STEPS = [
  [1e12, 'T'],
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
];

// Hashes a second.
export function rate(hashes) {
  const [size, unit] = STEPS.find(([step]) => hashes >= step) ?? [1, ''];
  return `${numbers.format(hashes / size)} ${unit}H/s`;
}

// How long ago something was; it goes on counting, see `tick`.
export function ago(time) {
  const node = el('time.ago', { datetime: time, title: moment(time) });
  count(node, Date.now());
  return node;
}

function count(node, now) {
  const seconds = Math.max(0, Math.round((now - Date.parse(node.dateTime)) / 1000));
  const [n, unit] =
    seconds < 100
      ? [seconds, 's']
      : seconds < 5400
        ? [Math.round(seconds / 60), 'min']
        : seconds < 172800
          ? [Math.round(seconds / 3600), 'h']
          : [Math.round(seconds / 86400), 'd'];
  const text = t(`ago.${unit}`, { n });
  if (node.textContent !== text) node.textContent = text;
}

// Every text that says how long ago something was is of now.
export function tick() {
  const now = Date.now();
  document.querySelectorAll('time.ago').forEach((node) => count(node, now));
}

// A time, whole.
export function moment(time) {
  return new Date(time).toLocaleString(LOCALES[language], { dateStyle: 'medium', timeStyle: 'medium' });
}

// The time of day; of another day, with the day. The whole of it is the text that a pointer finds.
export function clock(time) {
  const date = new Date(time);
  const isToday = date.toDateString() === new Date().toDateString();
  const text = isToday
    ? date.toLocaleTimeString(LOCALES[language])
    : date.toLocaleString(LOCALES[language], { day: '2-digit', month: '2-digit', hour: '2-digit', minute: '2-digit' });
  return el('time', { datetime: time, title: moment(time) }, text);
}
